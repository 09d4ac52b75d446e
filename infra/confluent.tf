# Kafka on Confluent Cloud: the cluster (or an existing one), the topics, and who may do what with them. API keys are secrets: they are
# made beside Terraform and go into Secret Manager (README.md, step 4), so that the state holds none.

locals {
  topic_names = {
    raw          = "security.raw.logs"
    matches      = "security.matches"
    analyzed     = "security.analyzed.threats"
    alerts       = "security.critical.alerts"
    metrics      = "security.system.metrics"
    dead_letters = "security.dead.letters"
  }
  consumer_group = "threatstream-analyzer"

  day_ms = 24 * 60 * 60 * 1000
  topics = {
    raw          = { partitions_count = var.partitions_count, retention_ms = var.log_retention_days * local.day_ms }
    matches      = { partitions_count = var.partitions_count, retention_ms = var.log_retention_days * local.day_ms }
    analyzed     = { partitions_count = var.partitions_count, retention_ms = 7 * local.day_ms }
    alerts       = { partitions_count = 1, retention_ms = 30 * local.day_ms }
    metrics      = { partitions_count = 1, retention_ms = 7 * local.day_ms }
    dead_letters = { partitions_count = 1, retention_ms = 30 * local.day_ms }
  }

  # What each function does with the log.
  kafka_grants = {
    api-writes-raw               = { function = "api", role = "DeveloperWrite", pattern = "topic=${local.topic_names.raw}" }
    api-reads                    = { function = "api", role = "DeveloperRead", pattern = "topic=security.*" }
    api-reads-group              = { function = "api", role = "DeveloperRead", pattern = "group=${local.consumer_group}" }
    analyzer-reads-raw           = { function = "analyzer", role = "DeveloperRead", pattern = "topic=${local.topic_names.raw}" }
    analyzer-reads-matches       = { function = "analyzer", role = "DeveloperRead", pattern = "topic=${local.topic_names.matches}" }
    analyzer-reads-group         = { function = "analyzer", role = "DeveloperRead", pattern = "group=${local.consumer_group}" }
    analyzer-writes-raw          = { function = "analyzer", role = "DeveloperWrite", pattern = "topic=${local.topic_names.raw}" }
    analyzer-writes-matches      = { function = "analyzer", role = "DeveloperWrite", pattern = "topic=${local.topic_names.matches}" }
    analyzer-writes-analyzed     = { function = "analyzer", role = "DeveloperWrite", pattern = "topic=${local.topic_names.analyzed}" }
    analyzer-writes-alerts       = { function = "analyzer", role = "DeveloperWrite", pattern = "topic=${local.topic_names.alerts}" }
    analyzer-writes-dead-letters = { function = "analyzer", role = "DeveloperWrite", pattern = "topic=${local.topic_names.dead_letters}" }
    simulator-writes-raw         = { function = "simulator", role = "DeveloperWrite", pattern = "topic=${local.topic_names.raw}" }
    responder-reads              = { function = "responder", role = "DeveloperRead", pattern = "topic=security.*" }
    responder-writes-metrics     = { function = "responder", role = "DeveloperWrite", pattern = "topic=${local.topic_names.metrics}" }
  }

  # The connector reads the topic, and writes down what became of each record, in topics that it makes.
  connector_grants = var.analyzer_trigger != "push" ? {} : {
    connector-reads-raw    = { function = "connector", role = "DeveloperRead", pattern = "topic=${local.topic_names.raw}" }
    connector-reads-groups = { function = "connector", role = "DeveloperRead", pattern = "group=connect-*" }
    connector-writes-dead  = { function = "connector", role = "DeveloperWrite", pattern = "topic=dlq-*" }
    connector-makes-dead   = { function = "connector", role = "DeveloperManage", pattern = "topic=dlq-*" }
    connector-writes-ok    = { function = "connector", role = "DeveloperWrite", pattern = "topic=success-*" }
    connector-makes-ok     = { function = "connector", role = "DeveloperManage", pattern = "topic=success-*" }
    connector-writes-error = { function = "connector", role = "DeveloperWrite", pattern = "topic=error-*" }
    connector-makes-error  = { function = "connector", role = "DeveloperManage", pattern = "topic=error-*" }
  }

  # A Basic cluster knows roles on the whole cluster alone; there the same grants are access lists. To read and to write includes to
  # describe.
  acl_operations = { DeveloperRead = "READ", DeveloperWrite = "WRITE", DeveloperManage = "CREATE" }
  kafka_acls = {
    for name, grant in merge(local.kafka_grants, local.connector_grants) : name => {
      function      = grant.function
      operation     = local.acl_operations[grant.role]
      resource_type = upper(split("=", grant.pattern)[0])
      resource_name = trimsuffix(split("=", grant.pattern)[1], "*")
      pattern_type  = endswith(grant.pattern, "*") ? "PREFIXED" : "LITERAL"
    }
  }

  kafka = var.confluent.create ? {
    environment_id    = confluent_environment.main[0].id
    cluster_id        = confluent_kafka_cluster.main[0].id
    bootstrap_servers = confluent_kafka_cluster.main[0].bootstrap_endpoint
    rest_endpoint     = confluent_kafka_cluster.main[0].rest_endpoint
    rbac_crn          = confluent_kafka_cluster.main[0].rbac_crn
    } : {
    environment_id    = data.confluent_kafka_cluster.main[0].environment[0].id
    cluster_id        = data.confluent_kafka_cluster.main[0].id
    bootstrap_servers = data.confluent_kafka_cluster.main[0].bootstrap_endpoint
    rest_endpoint     = data.confluent_kafka_cluster.main[0].rest_endpoint
    rbac_crn          = data.confluent_kafka_cluster.main[0].rbac_crn
  }
}

resource "confluent_environment" "main" {
  count = var.confluent.create ? 1 : 0

  display_name = "threatstream"
}

resource "confluent_kafka_cluster" "main" {
  count = var.confluent.create ? 1 : 0

  display_name        = "threatstream"
  availability        = var.confluent.availability
  cloud               = "GCP"
  region              = var.region
  deletion_protection = var.deletion_protection

  dynamic "basic" {
    for_each = var.confluent.type == "BASIC" ? [{}] : []
    content {}
  }

  dynamic "standard" {
    for_each = var.confluent.type == "STANDARD" ? [{}] : []
    content {}
  }

  environment {
    id = confluent_environment.main[0].id
  }
}

data "confluent_kafka_cluster" "main" {
  count = var.confluent.create ? 0 : 1

  id = var.confluent.cluster_id

  environment {
    id = var.confluent.environment_id
  }
}

# The key that makes topics and access lists is given to Terraform in KAFKA_REST_ENDPOINT, KAFKA_API_KEY and KAFKA_API_SECRET (all three, or
# the provider refuses), and is not kept in the state.
resource "confluent_kafka_topic" "main" {
  for_each = local.topics

  topic_name       = local.topic_names[each.key]
  partitions_count = each.value.partitions_count
  rest_endpoint    = local.kafka.rest_endpoint

  kafka_cluster {
    id = local.kafka.cluster_id
  }

  config = {
    "cleanup.policy"         = "delete"
    "retention.ms"           = tostring(each.value.retention_ms)
    "message.timestamp.type" = "LogAppendTime"
    "max.message.bytes"      = "2097164"
  }

  lifecycle {
    # The number of partitions is fixed for the topic's life, and a topic holds what nothing else does.
    prevent_destroy = true
  }
}

resource "confluent_service_account" "main" {
  for_each = toset(local.logging)

  display_name = "threatstream-${each.key}"
  description  = "The function ${each.key} of ThreatStream"
}

resource "confluent_role_binding" "main" {
  for_each = var.confluent.type == "STANDARD" ? local.kafka_grants : {}

  principal   = "User:${confluent_service_account.main[each.value.function].id}"
  role_name   = each.value.role
  crn_pattern = "${local.kafka.rbac_crn}/kafka=${local.kafka.cluster_id}/${each.value.pattern}"
}

resource "confluent_service_account" "connector" {
  count = var.analyzer_trigger == "push" ? 1 : 0

  display_name = "threatstream-connector"
  description  = "The sink connector that pushes raw logs to the analyzer"
}

resource "confluent_role_binding" "connector" {
  for_each = var.confluent.type == "STANDARD" ? local.connector_grants : {}

  principal   = "User:${confluent_service_account.connector[0].id}"
  role_name   = each.value.role
  crn_pattern = "${local.kafka.rbac_crn}/kafka=${local.kafka.cluster_id}/${each.value.pattern}"
}

resource "confluent_kafka_acl" "main" {
  for_each = var.confluent.type == "BASIC" ? local.kafka_acls : {}

  kafka_cluster {
    id = local.kafka.cluster_id
  }

  rest_endpoint = local.kafka.rest_endpoint
  resource_type = each.value.resource_type
  resource_name = each.value.resource_name
  pattern_type  = each.value.pattern_type
  principal     = "User:${each.value.function == "connector" ? confluent_service_account.connector[0].id : confluent_service_account.main[each.value.function].id}"
  host          = "*"
  operation     = each.value.operation
  permission    = "ALLOW"
}

# The connector calls a Cloud Run function of the second generation by project, region and name, which the analyzer is to it.
resource "confluent_connector" "push" {
  count = var.analyzer_trigger == "push" ? 1 : 0

  environment {
    id = local.kafka.environment_id
  }

  kafka_cluster {
    id = local.kafka.cluster_id
  }

  config_sensitive = {
    "gcf.credentials.json" = var.connector_credentials_json
  }

  config_nonsensitive = {
    "connector.class"          = "GoogleCloudFunctionsGen2Sink"
    "name"                     = "threatstream-analyzer"
    "kafka.auth.mode"          = "SERVICE_ACCOUNT"
    "kafka.service.account.id" = confluent_service_account.connector[0].id
    "topics"                   = local.topic_names.raw
    "input.data.format"        = "BYTES"
    "gcf.project.id"           = var.project_id
    "gcf.region.name"          = var.region
    "gcf.function.name"        = module.analyzer.name
    "max.batch.size"           = "500"
    "tasks.max"                = "1"
  }

  depends_on = [confluent_kafka_topic.main, confluent_role_binding.connector, confluent_kafka_acl.main]
}
