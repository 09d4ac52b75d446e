# An external load balancer with Cloud Armor in front of the api and the relay, under one domain; only where it is asked for. Cloud
# Run's own IAM stays in place behind it.
#
# There is no `throttle` rule. How often one caller may ask is the functions' own matter (RATE_LIMIT_REQUESTS): they know the callers, where
# Cloud Armor knows addresses, and senders of logs stand behind few. And the schema of google 6.50 that plans are checked against here lacks
# `count` in `rate_limit_threshold`, without which such a rule is no rule: it could not be checked before it is applied.

locals {
  balanced = var.load_balancer == null ? {} : {
    api   = { timeout_seconds = 300 }
    relay = { timeout_seconds = 3600 }
  }
  balancers = var.load_balancer == null ? 0 : 1
}

resource "google_compute_global_address" "main" {
  count = local.balancers

  project = var.project_id
  name    = "threatstream"

  depends_on = [google_project_service.main]
}

resource "google_compute_region_network_endpoint_group" "main" {
  for_each = local.balanced

  project               = var.project_id
  region                = var.region
  name                  = "threatstream-${each.key}"
  network_endpoint_type = "SERVERLESS"

  cloud_run {
    service = each.key
  }

  depends_on = [module.api, module.relay]
}

resource "google_compute_security_policy" "main" {
  #checkov:skip=CKV_GCP_73:what is posted as events are logs of attacks, Log4Shell's among them; the rule for it below spares their route
  count = local.balancers

  project     = var.project_id
  name        = "threatstream"
  description = "Who may knock at the front door, and how often"

  adaptive_protection_config {
    layer_7_ddos_defense_config {
      enable = true
    }
  }

  dynamic "rule" {
    for_each = var.load_balancer.allowed_cidrs == null || length(var.load_balancer.allowed_cidrs) == 0 ? [] : [var.load_balancer.allowed_cidrs]
    content {
      action      = "deny(403)"
      priority    = 500
      description = "Only the networks that are named"
      match {
        expr {
          expression = "!(${join(" || ", [for cidr in rule.value : "inIpRange(origin.ip, '${cidr}')"])})"
        }
      }
    }
  }

  rule {
    action      = "deny(403)"
    priority    = 800
    description = "Log4Shell and its kin. What a log line holds is data: the body of events is not looked into"
    match {
      expr {
        expression = "!request.path.startsWith('/api/events') && evaluatePreconfiguredWaf('cve-canary', {'sensitivity': 1})"
      }
    }
  }

  rule {
    action      = "allow"
    priority    = 2147483647
    description = "Cloud Run's IAM decides"
    match {
      versioned_expr = "SRC_IPS_V1"
      config {
        src_ip_ranges = ["*"]
      }
    }
  }
}

resource "google_compute_backend_service" "main" {
  for_each = local.balanced

  project               = var.project_id
  name                  = "threatstream-${each.key}"
  protocol              = "HTTPS"
  load_balancing_scheme = "EXTERNAL_MANAGED"
  security_policy       = google_compute_security_policy.main[0].id

  backend {
    group = google_compute_region_network_endpoint_group.main[each.key].id
  }

  log_config {
    enable      = true
    sample_rate = 0.1
  }
}

resource "google_compute_url_map" "main" {
  count = local.balancers

  project         = var.project_id
  name            = "threatstream"
  default_service = google_compute_backend_service.main["relay"].id

  host_rule {
    hosts        = [var.load_balancer.domain]
    path_matcher = "main"
  }

  path_matcher {
    name            = "main"
    default_service = google_compute_backend_service.main["relay"].id

    path_rule {
      paths   = ["/api/*", "/docs", "/docs/*", "/redoc", "/redoc/*", "/openapi.json"]
      service = google_compute_backend_service.main["api"].id
    }
  }
}

resource "google_compute_managed_ssl_certificate" "main" {
  count = local.balancers

  project = var.project_id
  name    = "threatstream"

  managed {
    domains = [var.load_balancer.domain]
  }

  depends_on = [google_project_service.main]
}

resource "google_compute_ssl_policy" "main" {
  count = local.balancers

  project         = var.project_id
  name            = "threatstream"
  profile         = "MODERN"
  min_tls_version = "TLS_1_2"

  depends_on = [google_project_service.main]
}

resource "google_compute_target_https_proxy" "main" {
  count = local.balancers

  project          = var.project_id
  name             = "threatstream"
  url_map          = google_compute_url_map.main[0].id
  ssl_certificates = [google_compute_managed_ssl_certificate.main[0].id]
  ssl_policy       = google_compute_ssl_policy.main[0].id
}

resource "google_compute_global_forwarding_rule" "main" {
  count = local.balancers

  project               = var.project_id
  name                  = "threatstream"
  target                = google_compute_target_https_proxy.main[0].id
  ip_address            = google_compute_global_address.main[0].id
  port_range            = "443"
  load_balancing_scheme = "EXTERNAL_MANAGED"
}
