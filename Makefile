# run    start a server with an embedded database       test   everything, on both databases, race detector on
# demo   the same with people to look at                check  format, vet, staticcheck, vulnerabilities, fuzzing
# build  one static binary in bin/                      bench  each hot path beside its raw limit
#                                                       bench-report  the same, written to docs/performance.md

# go.sum is complete and some modules resolve by exact version only, so nothing may rewrite it.
export GOFLAGS := -mod=readonly -buildvcs=false

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null)
FUZZ    ?= 10000x

# The race detector watches our code and all libraries but SQLite, which is C translated
# to Go: watched, it takes five times as long and is most of what the tests take. Regular
# expressions, three times as slow when watched, are asked about strings, which cannot change.
RACE := -race '-gcflags=modernc.org/...=-race=false' '-gcflags=regexp/...=-race=false'

# Most tests wait for a browser, another process or a database: more run at once than there
# are processors.
PARALLEL := $(shell expr 2 '*' "$$(getconf _NPROCESSORS_ONLN)")

.PHONY: run demo build test check bench bench-report generate provide

run:
	go run ./cmd/muster serve

demo:
	go run ./cmd/muster serve --demo

build:
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)' -o bin/muster ./cmd/muster

provide:
	.ci/provide

test: provide
	go test $(RACE) -parallel $(PARALLEL) -timeout 40m ./...

check:
	.ci/check $(FUZZ)

bench:
	.ci/bench

bench-report:
	go run ./internal/benchreport

generate:
	go run ./cmd/muster config reference > docs/settings.md
	go run ./cmd/muster config reference --sample > docs/muster.sample.yaml
	MUSTER_WRITE_DOCS=1 go test -count=1 -run 'TestTheDocumentIsMadeOfTheSource' ./internal/openapi/openapitest
	MUSTER_WRITE_DOCS=1 go test -count=1 -run 'TestPresetsAreOnTheirPage' ./scim
	MUSTER_WRITE_DOCS=1 go test -count=1 -run 'TestPagesAreTheGuides' ./sso/guides
	MUSTER_WRITE_DOCS=1 go test -count=1 -run 'TestSettingsAreOnTheirPage|TestRemediesAreOnTheirPage' ./sso
	MUSTER_WRITE_DOCS=1 go test -count=1 -run 'TestWeConform/.*/sqlite' ./cmd/muster
