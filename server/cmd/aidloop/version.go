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
	fmt.Printf("aidloop %s, protocol %d, catalog %d\n", revision(), syncproto.ProtocolVersion, casework.CatalogVersion)
	return nil
}

// revision is the commit that the program was built from, as far as the build says.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return info.Main.Version
}
