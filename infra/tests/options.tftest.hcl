# Plans of every option, on and off. No cloud is called.

mock_provider "google" {
  mock_data "google_project" {
    defaults = {
      number = "123456789012"
    }
  }
}

mock_provider "confluent" {}

variables {
  project_id = "example-project"
  images = {
    api       = "us-central1-docker.pkg.dev/p/threatstream/api@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    analyzer  = "us-central1-docker.pkg.dev/p/threatstream/analyzer@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    simulator = "us-central1-docker.pkg.dev/p/threatstream/simulator@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    responder = "us-central1-docker.pkg.dev/p/threatstream/responder@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    relay     = "us-central1-docker.pkg.dev/p/threatstream/relay@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  }
}

run "defaults" {
  command = plan

  assert {
    condition     = length(module.analyzer_worker) == 0 && length(google_pubsub_topic.main) == 3
    error_message = "the default trigger is drain: no worker pool, topics drain, respond and simulate"
  }

  assert {
    condition     = output.urls["api"] == "https://api-123456789012.us-central1.run.app"
    error_message = "services know one another's addresses"
  }

  assert {
    condition     = length(google_compute_global_forwarding_rule.main) == 0 && length(google_billing_budget.main) == 0 && length(google_logging_project_sink.main) == 0
    error_message = "what is not asked for is not made"
  }

  assert {
    condition     = length(confluent_kafka_cluster.main) == 1 && length(confluent_kafka_topic.main) == 6
    error_message = "the cluster is created, with all topics"
  }

  assert {
    condition     = length(confluent_kafka_cluster.main[0].basic) == 1 && length(confluent_kafka_acl.main) == length(local.kafka_grants) && length(confluent_role_binding.main) == 0
    error_message = "a Basic cluster, where access lists grant what roles cannot"
  }

  assert {
    condition     = confluent_kafka_acl.main["api-reads"].resource_name == "security." && confluent_kafka_acl.main["api-reads"].pattern_type == "PREFIXED" && confluent_kafka_acl.main["analyzer-reads-group"].resource_type == "GROUP"
    error_message = "a pattern with an asterisk is a prefix, and groups are granted as groups"
  }

  assert {
    condition     = length(google_compute_security_policy.main) == 0 && length(google_compute_backend_service.main) == 0 && output.load_balancer_address == null
    error_message = "no load balancer where none is asked for"
  }

  assert {
    condition     = alltrue([for policy in google_monitoring_alert_policy.main : length(policy.conditions) == 1])
    error_message = "an alert has one condition where no worker pool writes lines"
  }

  assert {
    condition     = google_logging_metric.measured["relay_behind"].value_extractor == "EXTRACT(jsonPayload.behindMs)" && strcontains(google_monitoring_alert_policy.main["relay_lag"].conditions[0].condition_threshold[0].filter, "user/threatstream/relay_behind")
    error_message = "the relay's lag is what the relay measures"
  }

  assert {
    condition     = length(google_artifact_registry_repository.main) == 1
    error_message = "images lie in one region"
  }

  assert {
    condition = (
      !contains(keys(google_secret_manager_secret.main), "gemini-api-key") &&
      !contains(keys(google_project_service.main), "aiplatform.googleapis.com") &&
      length([for name in output.variables.api : name if startswith(name, "GEMINI_") || name == "GCP_REGION"]) == 0
    )
    error_message = "without Gemini there is no key, no Vertex AI, and nothing to read of it"
  }
}

run "gemini_with_a_key" {
  command = plan

  variables {
    gemini = { access = "key" }
  }

  assert {
    condition = (
      google_secret_manager_secret.main["gemini-api-key"].secret_id == "threatstream-gemini-api-key" &&
      !google_secret_manager_secret.main["gemini-api-key"].deletion_protection &&
      google_secret_manager_secret.main["ticket-key"].deletion_protection
    )
    error_message = "the key is a secret, which goes when the option is turned off"
  }

  assert {
    condition     = local.gemini_secret == tomap({ GEMINI_API_KEY = "threatstream-gemini-api-key" }) && length(local.gemini_environment) == 0
    error_message = "the api is given the key, and no Vertex AI"
  }

  assert {
    condition     = !contains(keys(google_project_service.main), "aiplatform.googleapis.com") && toset(local.project_roles.api) == toset(["roles/datastore.user"])
    error_message = "AI Studio needs nothing of the project"
  }

  assert {
    condition = alltrue([
      for function, names in output.variables :
      function == "api" ? contains(names, "GEMINI_API_KEY") : length([for name in names : name if startswith(name, "GEMINI_")]) == 0
    ])
    error_message = "nobody but the api reads it"
  }
}

run "gemini_on_vertex" {
  command = plan

  variables {
    gemini = { access = "vertex" }
  }

  assert {
    condition     = local.gemini_environment == tomap({ GEMINI_VERTEX = "true", GCP_REGION = "global" }) && length(local.gemini_secret) == 0
    error_message = "the api asks Vertex AI, where the newest models are, without a key"
  }

  assert {
    condition = (
      contains(keys(google_project_service.main), "aiplatform.googleapis.com") &&
      !contains(keys(google_secret_manager_secret.main), "gemini-api-key") &&
      contains(local.project_roles.api, "roles/aiplatform.user") &&
      !contains(concat(local.project_roles.analyzer, local.project_roles.simulator, local.project_roles.responder, local.project_roles.relay), "roles/aiplatform.user")
    )
    error_message = "the service is enabled, and the api's service account may use it"
  }
}

run "gemini_in_a_region" {
  command = plan

  variables {
    gemini = { access = "vertex", model = "gemini-2.5-flash", location = "europe-west4" }
  }

  assert {
    condition     = local.gemini_environment == tomap({ GEMINI_VERTEX = "true", GEMINI_MODEL = "gemini-2.5-flash", GCP_REGION = "europe-west4" })
    error_message = "the model and the location are those asked for"
  }

  assert {
    condition     = jsonencode(output.variables.api) == jsonencode(jsondecode(file("environment.json"))["api-vertex"])
    error_message = "the variables that the api is given with Vertex AI are not those of environment.json"
  }
}

run "no_other_access_to_gemini" {
  command = plan

  variables {
    gemini = { access = "both" }
  }

  expect_failures = [var.gemini]
}

run "a_key_has_no_location" {
  command = plan

  variables {
    gemini = { access = "key", location = "global" }
  }

  expect_failures = [var.gemini]
}

run "trigger_push" {
  command = plan

  variables {
    analyzer_trigger           = "push"
    connector_credentials_json = "{}"
  }

  assert {
    condition     = length(confluent_connector.push) == 1 && !contains(keys(google_pubsub_topic.main), "drain")
    error_message = "the connector pushes, and nobody is woken"
  }

  assert {
    condition     = confluent_kafka_acl.main["connector-makes-dead"].operation == "CREATE" && length(confluent_kafka_acl.main) == length(local.kafka_grants) + 8
    error_message = "the connector may do what it must"
  }
}

run "trigger_worker" {
  command = plan

  variables {
    analyzer_trigger = "worker"
    worker_count     = 2
  }

  assert {
    condition     = length(module.analyzer_worker) == 1 && length(confluent_connector.push) == 0
    error_message = "a pool works beside the service"
  }

  assert {
    condition     = length(google_monitoring_alert_policy.main["lost"].conditions) == 2 && length(google_monitoring_alert_policy.main["dead_letters"].conditions) == 2
    error_message = "what the pool writes is watched, too"
  }
}

run "standard_cluster" {
  command = plan

  variables {
    confluent        = { type = "STANDARD" }
    analyzer_trigger = "push"
  }

  assert {
    condition     = length(confluent_kafka_cluster.main[0].standard) == 1 && length(confluent_role_binding.main) == length(local.kafka_grants) && length(confluent_role_binding.connector) == 8 && length(confluent_kafka_acl.main) == 0
    error_message = "a Standard cluster, where roles grant"
  }
}

run "existing_cluster" {
  command = plan

  variables {
    confluent = { create = false, environment_id = "env-1", cluster_id = "lkc-1" }
  }

  override_data {
    target = data.confluent_kafka_cluster.main
    values = {
      id                 = "lkc-1"
      bootstrap_endpoint = "SASL_SSL://pkc-1.us-central1.gcp.confluent.cloud:9092"
      rest_endpoint      = "https://pkc-1.us-central1.gcp.confluent.cloud:443"
      rbac_crn           = "crn://confluent.cloud/organization=1/environment=env-1/cloud-cluster=lkc-1"
    }
  }

  assert {
    condition     = length(confluent_kafka_cluster.main) == 0 && length(confluent_environment.main) == 0
    error_message = "an existing cluster is left as it is"
  }

  assert {
    condition     = length(confluent_kafka_topic.main) == 6 && output.kafka.cluster_id == "lkc-1"
    error_message = "the topics are made on it"
  }
}

run "load_balancer" {
  command = plan

  variables {
    load_balancer = { domain = "threats.example.com", allowed_cidrs = ["203.0.113.0/24"] }
  }

  assert {
    condition     = length(google_compute_backend_service.main) == 2 && length(google_compute_security_policy.main[0].rule) == 3
    error_message = "the api and the relay stand behind Cloud Armor"
  }

  assert {
    condition     = output.page == "https://threats.example.com/"
    error_message = "people come by the domain"
  }
}

run "everything_else" {
  command = plan

  variables {
    image_replica_region = "europe-west1"
    cloud_logging_filter = "logName:\"cloudaudit.googleapis.com\""
    webhook_url          = "https://hooks.example.com/x"
    alert_emails         = ["soc@example.com"]
    budget               = { billing_account = "000000-000000-000000", amount_usd = 100 }
    invokers             = ["group:soc@example.com"]
    analyzer_trigger     = "worker"
    gemini               = { access = "key", model = "gemini-3.5-flash-lite" }
  }

  # A test of the workspace holds the same file against what the functions read.
  assert {
    condition     = jsonencode(output.variables) == jsonencode({ for function, names in jsondecode(file("environment.json")) : function => names if function != "api-vertex" })
    error_message = "the variables that the functions are given are not those of environment.json"
  }

  assert {
    condition     = length(google_artifact_registry_repository.main) == 2 && length(google_logging_project_sink.main) == 1
    error_message = "a second region of images, and a sink"
  }

  assert {
    condition     = contains(keys(google_pubsub_subscription.main), "logs") && google_pubsub_subscription.main["logs"].push_config[0].push_endpoint == "https://api-123456789012.us-central1.run.app/api/ingest/pubsub"
    error_message = "the sink's entries are pushed to the api"
  }

  assert {
    condition     = length(google_billing_budget.main) == 1 && length(google_monitoring_notification_channel.main) == 1
    error_message = "a budget, and somebody who is told"
  }
}

run "nothing_is_public" {
  command = plan

  variables {
    invokers = ["allUsers"]
  }

  expect_failures = [var.invokers]
}

run "images_are_named_by_digest" {
  command = plan

  variables {
    images = { api = "api:latest", analyzer = "x", simulator = "x", responder = "x", relay = "x" }
  }

  expect_failures = [var.images]
}

run "no_other_trigger" {
  command = plan

  variables {
    analyzer_trigger = "cron"
  }

  expect_failures = [var.analyzer_trigger]
}

run "no_other_type_of_cluster" {
  command = plan

  variables {
    confluent = { type = "DEDICATED" }
  }

  expect_failures = [var.confluent]
}

run "half_a_cluster" {
  command = plan

  variables {
    confluent = { create = false, cluster_id = "lkc-1" }
  }

  expect_failures = [var.confluent]
}

run "the_readme_says_who_may_do_what" {
  command = plan

  # With every option that grants something.
  variables {
    gemini = { access = "vertex" }
  }

  assert {
    condition = toset([
      for row in regexall("(?m)^\\| `threatstream-(api|analyzer|simulator|responder|relay)` \\| `(roles/[a-zA-Z.]+)` \\|", file("README.md")) : join(" ", row)
      ]) == toset(concat(
      flatten([for function, roles in local.project_roles : [for role in roles : "${function} ${role}"]]),
      flatten([for queue in values(local.pushed) : [for function in keys(queue.publishers) : "${function} roles/pubsub.publisher"]]),
      [for function in keys(google_pubsub_topic_iam_member.burier) : "${function} roles/pubsub.publisher"],
      [for function in keys(google_pubsub_topic_iam_member.viewer) : "${function} roles/pubsub.viewer"],
    ))
    error_message = "the table of roles in README.md is not what is granted"
  }
}
