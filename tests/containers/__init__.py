"""`make containers`: docker-compose.yml started for real, on the Docker engine of this machine."""
