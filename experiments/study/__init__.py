"""What several experiments study: data sets and sources, tasks cut by many criteria, assembled pairs."""
