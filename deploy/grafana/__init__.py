"""Grafana's dashboards as code; what Grafana reads lies in dashboards/ and provisioning/."""
