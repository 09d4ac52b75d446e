# The images of the five functions, in one build: the stages that compile are shared, the layers are kept in the registry.
#   docker buildx bake -f infra/docker-bake.hcl

variable "REGISTRY" {
  default = "threatstream"
}

variable "TAG" {
  default = "dev"
}

# Where layers are kept between builds; empty: nowhere.
variable "CACHE" {
  default = ""
}

group "default" {
  targets = ["function"]
}

target "function" {
  name = name
  matrix = {
    name = ["api", "analyzer", "simulator", "responder", "relay"]
  }
  context    = "."
  dockerfile = "infra/Dockerfile"
  target     = name
  platforms  = ["linux/amd64"]
  tags       = ["${REGISTRY}/${name}:${TAG}"]
  cache-from = CACHE == "" ? [] : ["type=registry,ref=${CACHE}"]
  cache-to   = CACHE == "" ? [] : ["type=registry,ref=${CACHE},mode=max"]
  # What is in an image, and how it was made, lie beside it in the registry.
  attest = ["type=sbom", "type=provenance,mode=max"]
}

# All five in one process: docker run -p 8000:8000 --env-file .env threatstream
target "threatstream" {
  context    = "."
  dockerfile = "infra/Dockerfile"
  target     = "threatstream"
  tags       = ["${REGISTRY}/threatstream:${TAG}"]
}
