# The five functions. What a function may do is in identity.tf, what wakes it in messaging.tf and schedule.tf.

locals {
  # A service's address follows from its name, so that services can name one another.
  host = { for name in ["api", "analyzer", "simulator", "responder", "relay"] : name => "${name}-${data.google_project.main.number}.${var.region}.run.app" }
  url  = { for name, host in local.host : name => "https://${host}" }

  # Where people's browsers find the platform: behind the load balancer, or through `gcloud run services proxy`.
  page_api_url = var.load_balancer == null ? "http://localhost:8000" : "https://${var.load_balancer.domain}"
  page_url     = var.load_balancer == null ? "http://localhost:8001" : "https://${var.load_balancer.domain}"
  socket_url   = var.load_balancer == null ? "http://localhost:8001" : "https://${var.load_balancer.domain}"

  labels = merge({ application = "threatstream" }, var.labels)

  # What every function reads, and what those read that have to do with the log.
  store_environment = {
    AUTH_MODE            = "iam"
    LOG_FORMAT           = "stackdriver"
    GOOGLE_CLOUD_PROJECT = var.project_id
    FIRESTORE_DATABASE   = google_firestore_database.main.name
    KAFKA_RAW_TOPIC      = local.topic_names.raw
    KAFKA_MATCHES_TOPIC  = local.topic_names.matches
  }
  environment = merge(local.store_environment, {
    CONFLUENT_BOOTSTRAP_SERVERS = local.kafka.bootstrap_servers
    CONFLUENT_CLUSTER_ID        = local.kafka.cluster_id
    KAFKA_ANALYZED_TOPIC        = local.topic_names.analyzed
    KAFKA_ALERTS_TOPIC          = local.topic_names.alerts
    KAFKA_METRICS_TOPIC         = local.topic_names.metrics
    KAFKA_DEAD_LETTER_TOPIC     = local.topic_names.dead_letters
    KAFKA_CONSUMER_GROUP        = local.consumer_group
  })

  # Pushes come with a token of one of these, made out to the function that they go to.
  pushers = join(",", [google_service_account.push.email, google_service_account.scheduler.email])

  push_environment = {
    for name, url in local.url : name => {
      PUSH_AUDIENCE         = url
      PUSH_SERVICE_ACCOUNTS = local.pushers
    }
  }

  kafka_secrets = {
    for name in local.logging : name => {
      CONFLUENT_API_KEY    = google_secret_manager_secret.main["${name}-confluent-key"].secret_id
      CONFLUENT_API_SECRET = google_secret_manager_secret.main["${name}-confluent-secret"].secret_id
    }
  }

  simulation_secret = { SIMULATION_KEY = google_secret_manager_secret.main["simulation-key"].secret_id }
  ticket_secret     = { TICKET_KEY = google_secret_manager_secret.main["ticket-key"].secret_id }

  # What health reads of the model; where it is off, nothing.
  gemini_environment = merge(
    var.gemini.access == "off" || var.gemini.model == null ? {} : { GEMINI_MODEL = var.gemini.model },
    # The newest models are at the location global alone.
    var.gemini.access != "vertex" ? {} : { GEMINI_VERTEX = "true", GCP_REGION = coalesce(var.gemini.location, "global") },
  )
  gemini_secret = var.gemini.access != "key" ? {} : {
    GEMINI_API_KEY = google_secret_manager_secret.main["gemini-api-key"].secret_id
  }

  people = { for member in var.invokers : member => member }

  ingress = var.load_balancer == null ? "INGRESS_TRAFFIC_ALL" : "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
}

data "google_project" "main" {
  project_id = var.project_id
}

module "api" {
  source = "./modules/function"

  name       = "api"
  project_id = var.project_id
  region     = var.region
  image      = var.images.api
  labels     = local.labels
  ingress    = local.ingress
  roles      = local.project_roles.api

  environment = merge(local.environment, local.push_environment["api"], local.gemini_environment, {
    # With the trigger drain it wakes the analyzer.
    ANALYZER_MODE = var.analyzer_trigger
    RELAY_URL     = local.socket_url
    CORS_ORIGINS  = local.page_url
  })
  secrets = merge(local.kafka_secrets["api"], local.ticket_secret, local.gemini_secret)

  max_instances       = var.max_instances.api
  memory_mib          = 1024
  deletion_protection = var.deletion_protection

  # The sink of Cloud Logging pushes here.
  invokers = merge(local.people, { push = google_service_account.push.member })

  depends_on = [google_project_service.main]
}

module "analyzer" {
  source = "./modules/function"

  name       = "analyzer"
  project_id = var.project_id
  region     = var.region
  image      = var.images.analyzer
  labels     = local.labels
  roles      = local.project_roles.analyzer

  # With the worker pool beside it, the service is the safety net that Cloud Scheduler calls.
  environment = merge(local.environment, local.push_environment["analyzer"], {
    ANALYZER_MODE   = var.analyzer_trigger == "push" ? "push" : "drain"
    REQUEST_TIMEOUT = "540s"
  })
  secrets = merge(local.kafka_secrets["analyzer"], local.simulation_secret)

  max_instances = var.max_instances.analyzer
  # One drain is all the work of an instance; a second one joins it.
  concurrency         = 4
  timeout_seconds     = 570
  cpu                 = "2"
  memory_mib          = 2048
  deletion_protection = var.deletion_protection

  invokers = {
    push      = google_service_account.push.member
    scheduler = google_service_account.scheduler.member
    connector = google_service_account.connector.member
  }

  depends_on = [google_project_service.main]
}

module "analyzer_worker" {
  source = "./modules/function"
  count  = var.analyzer_trigger == "worker" ? 1 : 0

  kind            = "worker_pool"
  name            = "analyzer-worker"
  project_id      = var.project_id
  region          = var.region
  image           = var.images.analyzer
  labels          = local.labels
  service_account = { email = module.analyzer.service_account_email }

  # A pool has no front door: it listens on loopback, where no authentication is asked for.
  environment = merge(local.environment, {
    ANALYZER_MODE = "worker"
    AUTH_MODE     = "open"
  })
  secrets = merge(local.kafka_secrets["analyzer"], local.simulation_secret)

  min_instances       = var.worker_count
  cpu                 = "2"
  memory_mib          = 2048
  deletion_protection = var.deletion_protection
}

module "simulator" {
  source = "./modules/function"

  name       = "simulator"
  project_id = var.project_id
  region     = var.region
  image      = var.images.simulator
  labels     = local.labels
  roles      = local.project_roles.simulator

  environment = merge(local.environment, local.push_environment["simulator"])
  secrets     = merge(local.kafka_secrets["simulator"], local.simulation_secret)

  max_instances       = var.max_instances.simulator
  deletion_protection = var.deletion_protection

  invokers = merge(local.people, {
    push      = google_service_account.push.member
    scheduler = google_service_account.scheduler.member
  })

  depends_on = [google_project_service.main]
}

module "responder" {
  source = "./modules/function"

  name       = "responder"
  project_id = var.project_id
  region     = var.region
  image      = var.images.responder
  labels     = local.labels
  roles      = local.project_roles.responder

  environment = merge(
    local.environment, local.push_environment["responder"],
    var.webhook_url == null ? {} : { WEBHOOK_URL = var.webhook_url },
  )
  secrets = merge(
    local.kafka_secrets["responder"],
    var.webhook_url == null ? {} : { WEBHOOK_SECRET = google_secret_manager_secret.main["webhook-secret"].secret_id },
  )

  max_instances       = var.max_instances.responder
  deletion_protection = var.deletion_protection

  invokers = merge(local.people, {
    push      = google_service_account.push.member
    scheduler = google_service_account.scheduler.member
  })

  depends_on = [google_project_service.main]
}

module "relay" {
  source = "./modules/function"

  name       = "relay"
  project_id = var.project_id
  region     = var.region
  image      = var.images.relay
  labels     = local.labels
  ingress    = local.ingress
  roles      = local.project_roles.relay

  environment = merge(local.store_environment, {
    API_URL            = local.page_api_url
    CORS_ORIGINS       = local.page_url
    WS_MAX_CONNECTIONS = "900"
  })
  secrets = local.ticket_secret

  # It follows the feed between requests, and holds every socket: one instance that never sleeps. Cloud Run ends a request,
  # and so a socket, after an hour; clients resume.
  min_instances       = 1
  max_instances       = 1
  cpu                 = "1"
  memory_mib          = 512
  cpu_always_on       = true
  concurrency         = 1000
  timeout_seconds     = 3600
  session_affinity    = true
  deletion_protection = var.deletion_protection

  invokers = local.people

  depends_on = [google_project_service.main]
}
