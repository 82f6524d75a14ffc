package main

import (
	"fmt"
	"runtime/debug"

	"aidloop/server/casework"
	"aidloop/syncproto"
)

type versionCmd struct{}

// Run prints one line.
func (versionCmd) Run() error {
	revision := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
		if revision == "unknown" && info.Main.Version != "" {
			revision = info.Main.Version
		}
	}
	fmt.Printf("aidloop %s, protocol %d, catalog %d\n", revision, syncproto.ProtocolVersion, casework.CatalogVersion)
	return nil
}
