package main

import (
	"fmt"
	"runtime"
)

// Stamped by `make build` with -ldflags -X.
var version, commit = "devel", ""

type versionInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
}

func thisVersion() versionInfo {
	return versionInfo{Version: version, Commit: commit, Go: runtime.Version()}
}

type versionCmd struct{}

func (versionCmd) Run(a *app) error {
	v := thisVersion()
	return a.answer(v, fmt.Sprintf("muster %s (%s)", v.Version, v.Go))
}
