# How the platform fares: a dashboard, metrics out of the logs, alerts, a budget.

locals {
  revisions = "resource.type=(\"cloud_run_revision\" OR \"cloud_run_worker_pool\") AND labels.application=\"threatstream\""

  # Where lines come from: the worker pool is a resource of another type.
  writers = concat(["cloud_run_revision"], var.analyzer_trigger == "worker" ? ["cloud_run_worker_pool"] : [])

  # Counted lines. A test of the workspace holds each text, and each field that is measured below, against what the code writes.
  counted_lines = {
    dead_letters = {
      text        = "went to the dead letters"
      description = "Batches with records that no event, or no match, could be made of"
    }
    task_dead = {
      text        = "task given up: a dead letter"
      description = "Tasks that were given up"
    }
    lost = {
      text        = "records were lost"
      description = "Batches before which the log had let records go that nobody had analysed"
    }
    restarts = {
      text        = "starts again from its checkpoint"
      description = "Batches that a stage had to begin again"
    }
  }

  notified = [for channel in google_monitoring_notification_channel.main : channel.id]
}

resource "google_monitoring_notification_channel" "main" {
  for_each = var.alert_emails

  project      = var.project_id
  display_name = "ThreatStream: ${each.value}"
  type         = "email"

  labels = {
    email_address = each.value
  }

  depends_on = [google_project_service.main]
}

resource "google_logging_metric" "line" {
  for_each = local.counted_lines

  project     = var.project_id
  name        = "threatstream/${each.key}"
  description = each.value.description
  filter      = "${local.revisions} AND jsonPayload.message:\"${each.value.text}\""

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }

  depends_on = [google_project_service.main]
}

# Measured lines: a number in each, once a minute.
locals {
  measured_lines = {
    pending = {
      text        = "measured the minute"
      field       = "pending"
      unit        = "1"
      description = "Records of both logs beyond the checkpoints, which the sweep measures each minute"
    }
    relay_behind = {
      text        = "measured the feed"
      field       = "behindMs"
      unit        = "ms"
      description = "How long after its commit the relay published what it published last minute, at worst; or for how long it has not reached the feed"
    }
  }
}

resource "google_logging_metric" "measured" {
  for_each = local.measured_lines

  project         = var.project_id
  name            = "threatstream/${each.key}"
  description     = each.value.description
  filter          = "${local.revisions} AND jsonPayload.message:\"${each.value.text}\""
  value_extractor = "EXTRACT(jsonPayload.${each.value.field})"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = each.value.unit
  }

  bucket_options {
    exponential_buckets {
      num_finite_buckets = 32
      growth_factor      = 2
      scale              = 1
    }
  }

  depends_on = [google_project_service.main]
}

locals {
  alerts = {
    consumer_lag = {
      title     = "The analyzer lags behind"
      filters   = ["metric.type=\"logging.googleapis.com/user/${google_logging_metric.measured["pending"].name}\" AND resource.type=\"cloud_run_revision\""]
      aligner   = "ALIGN_PERCENTILE_50"
      reducer   = "REDUCE_MAX"
      threshold = 100000
      seconds   = 300
      help      = "More than 100,000 records have waited for five minutes. Look at /api/analytics/ledger (which partition), at the analyzer's log, and raise max_instances.analyzer or worker_count."
    }
    lost = {
      title     = "Records were lost"
      filters   = [for writer in local.writers : "metric.type=\"logging.googleapis.com/user/${google_logging_metric.line["lost"].name}\" AND resource.type=\"${writer}\""]
      aligner   = "ALIGN_RATE"
      reducer   = "REDUCE_SUM"
      threshold = 0
      seconds   = 0
      help      = "The log begins after the checkpoint: its retention let records go before they were analysed. The analyzer's log says how many of which partition; /api/analytics/ledger keeps the sum, and health stays degraded. Raise log_retention_days, and look why the analysis stood still."
    }
    dead_letters = {
      title     = "Records are being dead-lettered"
      filters   = [for writer in local.writers : "metric.type=\"logging.googleapis.com/user/${google_logging_metric.line["dead_letters"].name}\" AND resource.type=\"${writer}\""]
      aligner   = "ALIGN_RATE"
      reducer   = "REDUCE_SUM"
      threshold = 0
      seconds   = 0
      help      = "Records of a log could not be read. They lie in security.dead.letters, with the reason in their headers."
    }
    dead_tasks = {
      title     = "Tasks were given up"
      filters   = ["metric.type=\"pubsub.googleapis.com/subscription/dead_letter_message_count\" AND resource.type=\"pubsub_subscription\" AND resource.labels.subscription_id=starts_with(\"threatstream-\")"]
      aligner   = "ALIGN_DELTA"
      reducer   = "REDUCE_SUM"
      threshold = 0
      seconds   = 0
      help      = "A task failed ten times. It lies in the subscription of the same name that ends with -dead."
    }
    server_errors = {
      title     = "Functions answer with errors"
      filters   = ["metric.type=\"run.googleapis.com/request_count\" AND resource.type=\"cloud_run_revision\" AND metric.labels.response_code_class=\"5xx\" AND resource.labels.service_name=one_of(\"api\", \"analyzer\", \"simulator\", \"responder\", \"relay\")"]
      aligner   = "ALIGN_RATE"
      reducer   = "REDUCE_SUM"
      threshold = 0.1
      seconds   = 300
      help      = "More than one request in ten seconds failed, for five minutes. /api/health says which backend does not answer."
    }
    relay_down = {
      title     = "The relay does not stand"
      filters   = ["metric.type=\"run.googleapis.com/container/instance_count\" AND resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"relay\""]
      aligner   = "ALIGN_MAX"
      reducer   = "REDUCE_SUM"
      less      = true
      threshold = 1
      seconds   = 300
      help      = "No instance of the relay has stood for five minutes: nothing is live on any page."
    }
    relay_lag = {
      title     = "The relay falls behind the feed"
      filters   = ["metric.type=\"logging.googleapis.com/user/${google_logging_metric.measured["relay_behind"].name}\" AND resource.type=\"cloud_run_revision\""]
      aligner   = "ALIGN_PERCENTILE_99"
      reducer   = "REDUCE_MAX"
      threshold = 10000
      seconds   = 300
      help      = "For five minutes, what was committed has come to the pages more than ten seconds late, or the relay has not reached the feed. Its log says whether the store does not answer; otherwise it has too much to send: fewer sockets, or more CPU for it."
    }
    instance_count = {
      title     = "The api stands at its limit"
      filters   = ["metric.type=\"run.googleapis.com/container/instance_count\" AND resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"api\""]
      aligner   = "ALIGN_MAX"
      reducer   = "REDUCE_SUM"
      threshold = var.max_instances.api - 1
      seconds   = 600
      help      = "The api has had all its instances for ten minutes; further requests wait or are refused. Raise max_instances.api."
    }
  }
}

resource "google_monitoring_alert_policy" "main" {
  for_each = local.alerts

  project               = var.project_id
  display_name          = "ThreatStream: ${each.value.title}"
  combiner              = "OR"
  notification_channels = local.notified
  user_labels           = local.labels

  dynamic "conditions" {
    for_each = each.value.filters
    content {
      display_name = each.value.title

      condition_threshold {
        filter          = conditions.value
        comparison      = try(each.value.less, false) ? "COMPARISON_LT" : "COMPARISON_GT"
        threshold_value = each.value.threshold
        duration        = "${each.value.seconds}s"

        aggregations {
          alignment_period     = "60s"
          per_series_aligner   = each.value.aligner
          cross_series_reducer = each.value.reducer
        }
      }
    }
  }

  documentation {
    content   = each.value.help
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close = "3600s"
  }
}

locals {
  charts = {
    "Requests a second, by function"       = { filter = "metric.type=\"run.googleapis.com/request_count\" resource.type=\"cloud_run_revision\"", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = "resource.label.service_name" }
    "99th percentile of latency"           = { filter = "metric.type=\"run.googleapis.com/request_latencies\" resource.type=\"cloud_run_revision\"", aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", by = "resource.label.service_name" }
    "Instances"                            = { filter = "metric.type=\"run.googleapis.com/container/instance_count\" resource.type=\"cloud_run_revision\"", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", by = "resource.label.service_name" }
    "Records beyond the checkpoints"       = { filter = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.measured["pending"].name}\" resource.type=\"cloud_run_revision\"", aligner = "ALIGN_PERCENTILE_50", reducer = "REDUCE_MAX", by = "resource.label.service_name" }
    "Dead letters of the logs"             = { filter = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.line["dead_letters"].name}\" resource.type=\"cloud_run_revision\"", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = "resource.label.service_name" }
    "Tasks that wait"                      = { filter = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" resource.type=\"pubsub_subscription\"", aligner = "ALIGN_MAX", reducer = "REDUCE_SUM", by = "resource.label.subscription_id" }
    "Firestore: reads, writes and deletes" = { filter = "metric.type=starts_with(\"firestore.googleapis.com/document/\") resource.type=\"firestore_instance\"", aligner = "ALIGN_RATE", reducer = "REDUCE_SUM", by = "metric.label.module" }
    "How far the relay is behind, ms"      = { filter = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.measured["relay_behind"].name}\" resource.type=\"cloud_run_revision\"", aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", by = "resource.label.service_name" }
    "CPU of the relay"                     = { filter = "metric.type=\"run.googleapis.com/container/cpu/utilizations\" resource.type=\"cloud_run_revision\" resource.label.service_name=\"relay\"", aligner = "ALIGN_PERCENTILE_99", reducer = "REDUCE_MAX", by = "resource.label.service_name" }
  }
}

resource "google_monitoring_dashboard" "main" {
  project = var.project_id

  dashboard_json = jsonencode({
    displayName = "ThreatStream"
    gridLayout = {
      columns = "2"
      widgets = [
        for title, chart in local.charts : {
          title = title
          xyChart = {
            dataSets = [{
              plotType = "LINE"
              timeSeriesQuery = {
                timeSeriesFilter = {
                  filter = chart.filter
                  aggregation = {
                    alignmentPeriod    = "60s"
                    perSeriesAligner   = chart.aligner
                    crossSeriesReducer = chart.reducer
                    groupByFields      = [chart.by]
                  }
                }
              }
            }]
          }
        }
      ]
    }
  })

  depends_on = [google_project_service.main]
}

resource "google_billing_budget" "main" {
  count = var.budget == null ? 0 : 1

  billing_account = var.budget.billing_account
  display_name    = "ThreatStream"

  budget_filter {
    projects = ["projects/${data.google_project.main.number}"]
  }

  amount {
    specified_amount {
      currency_code = "USD"
      units         = tostring(floor(var.budget.amount_usd))
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }

  all_updates_rule {
    monitoring_notification_channels = local.notified
    disable_default_iam_recipients   = false
  }

  depends_on = [google_project_service.main]
}
