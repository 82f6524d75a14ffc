// Command aidloop is the whole of Aidloop in one binary: the server, a phone for scripts, and the tools beside them.
package main

import (
	"fmt"
	"os"

	"github.com/alecthomas/kong"
)

// cli lists the subcommands. Every flag can also be set by an environment variable AIDLOOP_<FLAG>.
type cli struct {
	Serve   serveCmd   `cmd:"" help:"Run the server."`
	Import  importCmd  `cmd:"" help:"Import leads from a spreadsheet."`
	User    userCmd    `cmd:"" help:"Keep accounts, grants and enrolment codes."`
	Device  deviceCmd  `cmd:"" help:"Be a phone."`
	Bundle  bundleCmd  `cmd:"" help:"Take in, look into and answer bundles that are carried by hand."`
	Demo    demoCmd    `cmd:"" help:"Play one turn of the closed loop with real devices."`
	Verify  verifyCmd  `cmd:"" help:"Check ledger chains, digests, device chains and photos."`
	Bench   benchCmd   `cmd:"" help:"Measure durations and ratios."`
	Sim     simCmd     `cmd:"" help:"Run the fault simulator."`
	Version versionCmd `cmd:"" help:"Print the versions of the program and of its protocol."`
}

// Exit codes: 0 all is well, 1 it failed, 2 it was called wrongly.
const (
	exitFailed = 1
	exitUsage  = 2
)

func main() {
	var c cli
	parser := kong.Must(&c, kong.Name("aidloop"), kong.Description("Offline-first field survey and the closed loop of social assistance."),
		kong.DefaultEnvars("AIDLOOP"), kong.UsageOnError())
	ctx, err := parser.Parse(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "aidloop: %v\nSee aidloop --help.\n", err)
		os.Exit(exitUsage)
	}
	if err := ctx.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "aidloop: %v\n", err)
		os.Exit(exitFailed)
	}
}
