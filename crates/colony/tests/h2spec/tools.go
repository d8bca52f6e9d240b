//go:build tools

// Package h2spec names the program that the conformance tests run, so that it is built with the versions in
// go.mod: those that the Go of Debian 12 can still build.
package h2spec

import _ "github.com/summerwind/h2spec/cmd/h2spec"
