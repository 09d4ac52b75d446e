# Pub/Sub: the tasks that functions leave for one another, each a topic, a push to who works it, and a place for what cannot
# be worked; and the sink of Cloud Logging.

locals {
  queues = {
    respond = {
      endpoint    = "${local.url["responder"]}/tasks/respond"
      audience    = local.url["responder"]
      publishers  = { analyzer = module.analyzer.service_account_member, responder = module.responder.service_account_member }
      ack_seconds = 300
    }
    simulate = {
      endpoint    = "${local.url["simulator"]}/tasks/simulate"
      audience    = local.url["simulator"]
      publishers  = { simulator = module.simulator.service_account_member }
      ack_seconds = 300
    }
  }
  wake_ups = var.analyzer_trigger == "drain" ? {
    drain = {
      endpoint    = "${local.url["analyzer"]}/drain"
      audience    = local.url["analyzer"]
      publishers  = { api = module.api.service_account_member, analyzer = module.analyzer.service_account_member }
      ack_seconds = 600
    }
  } : {}
  sinks = var.cloud_logging_filter == null ? {} : {
    logs = {
      endpoint    = "${local.url["api"]}/api/ingest/pubsub"
      audience    = local.url["api"]
      publishers  = { sink = google_logging_project_sink.main[0].writer_identity }
      ack_seconds = 60
    }
  }
  pushed = merge(local.queues, local.wake_ups, local.sinks)

  # Pub/Sub's own agent moves what cannot be delivered, and makes the tokens that pushes carry.
  pubsub_agent = "serviceAccount:service-${data.google_project.main.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_topic" "main" {
  #checkov:skip=CKV_GCP_83:Google's own keys encrypt the messages; keys of the customer's are not what the platform is sold on
  for_each = local.pushed

  project                    = var.project_id
  name                       = "threatstream-${each.key}"
  labels                     = local.labels
  message_retention_duration = "86400s"

  depends_on = [google_project_service.main]
}

resource "google_pubsub_topic" "dead" {
  #checkov:skip=CKV_GCP_83:Google's own keys encrypt the messages
  for_each = local.pushed

  project = var.project_id
  name    = "threatstream-${each.key}-dead"
  labels  = local.labels

  depends_on = [google_project_service.main]
}

resource "google_pubsub_subscription" "main" {
  for_each = local.pushed

  project                    = var.project_id
  name                       = "threatstream-${each.key}"
  topic                      = google_pubsub_topic.main[each.key].id
  labels                     = local.labels
  ack_deadline_seconds       = each.value.ack_seconds
  message_retention_duration = "86400s"

  push_config {
    push_endpoint = each.value.endpoint

    oidc_token {
      service_account_email = google_service_account.push.email
      audience              = each.value.audience
    }
  }

  retry_policy {
    minimum_backoff = "1s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead[each.key].id
    max_delivery_attempts = 10
  }

  # It stays however long nothing comes.
  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_subscription" "dead" {
  for_each = local.pushed

  project                    = var.project_id
  name                       = "threatstream-${each.key}-dead"
  topic                      = google_pubsub_topic.dead[each.key].id
  labels                     = local.labels
  ack_deadline_seconds       = 60
  message_retention_duration = "604800s"

  expiration_policy {
    ttl = ""
  }
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = merge([
    for queue, pushed in local.pushed : {
      for name, member in pushed.publishers : "${queue}-${name}" => { queue = queue, member = member }
    }
  ]...)

  project = var.project_id
  topic   = google_pubsub_topic.main[each.value.queue].name
  role    = "roles/pubsub.publisher"
  member  = each.value.member
}

# A task that can never be done is laid aside by the function itself.
resource "google_pubsub_topic_iam_member" "burier" {
  for_each = {
    responder = { queue = "respond", member = module.responder.service_account_member }
    simulator = { queue = "simulate", member = module.simulator.service_account_member }
  }

  project = var.project_id
  topic   = google_pubsub_topic.dead[each.value.queue].name
  role    = "roles/pubsub.publisher"
  member  = each.value.member
}

# Health is asked of the queue itself.
resource "google_pubsub_topic_iam_member" "viewer" {
  for_each = {
    api       = module.api.service_account_member
    analyzer  = module.analyzer.service_account_member
    simulator = module.simulator.service_account_member
    responder = module.responder.service_account_member
  }

  project = var.project_id
  topic   = google_pubsub_topic.main["respond"].name
  role    = "roles/pubsub.viewer"
  member  = each.value
}

resource "google_pubsub_topic_iam_member" "agent" {
  for_each = local.pushed

  project = var.project_id
  topic   = google_pubsub_topic.dead[each.key].name
  role    = "roles/pubsub.publisher"
  member  = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "agent" {
  for_each = local.pushed

  project      = var.project_id
  subscription = google_pubsub_subscription.main[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}

resource "google_service_account_iam_member" "agent" {
  service_account_id = google_service_account.push.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.pubsub_agent
}

resource "google_logging_project_sink" "main" {
  count = var.cloud_logging_filter == null ? 0 : 1

  project                = var.project_id
  name                   = "threatstream"
  destination            = "pubsub.googleapis.com/projects/${var.project_id}/topics/threatstream-logs"
  filter                 = var.cloud_logging_filter
  unique_writer_identity = true

  # What the platform says of itself must not come back to it.
  exclusions {
    name   = "threatstream"
    filter = "resource.type=(\"cloud_run_revision\" OR \"cloud_run_worker_pool\") AND labels.application=\"threatstream\" OR protoPayload.authenticationInfo.principalEmail=\"${google_service_account.push.email}\""
  }
}
