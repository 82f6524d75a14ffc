package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"aidloop/fixtures/bench"
)

type benchCmd struct {
	JSON    bool   `help:"Print one JSON object instead of a table."`
	Runs    int    `help:"Interleaved runs." default:"7"`
	Records int    `help:"Visit records of about 1 KB in a run." default:"20000"`
	Feed    int    `help:"Records before the incremental pulls." default:"100000"`
	Pulls   int    `help:"Incremental pulls of 100 records." default:"50"`
	Serve   string `hidden:"" help:"Be a benchmark's server."`
	Dir     string `hidden:""`
}

// Run measures, or serves for another process that does.
func (c *benchCmd) Run() error {
	ctx := context.Background()
	if c.Serve != "" {
		return bench.Serve(ctx, c.Serve, c.Dir, os.Stdin, os.Stdout)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	r, err := bench.Run(ctx, bench.Options{Self: self, Runs: c.Runs, Records: c.Records, Feed: c.Feed, Pulls: c.Pulls,
		Log: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }})
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	fmt.Print(r)
	return nil
}
