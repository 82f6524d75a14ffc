package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"aidloop/fixtures/bench"
)

type benchCmd struct {
	JSON    bool `help:"Print one JSON object instead of a table."`
	Runs    int  `help:"Interleaved runs." default:"7"`
	Records int  `help:"Visit records of about 1 KB in a run." default:"20000"`
	Feed    int  `help:"Records before the incremental pulls." default:"100000"`
	Pulls   int  `help:"Incremental pulls of 100 records." default:"50"`
	Devices int  `help:"Phones that sync at once." default:"1000"`
	Live    int  `help:"Idle live connections." default:"5000"`
	Rows    int  `help:"Records in the largest of three totals among which rows are counted." default:"1000000"`
	Workers int  `help:"Grid workers of the field day." default:"2000"`
	Burst   int  `help:"Seconds within which they come home." default:"60"`

	Only []string `help:"Sections to measure: push, pull, noop, devices, live, rows, wire, field, lists, match. Without it, all."`

	Serve   string `hidden:"" help:"Be a benchmark's server."`
	Dir     string `hidden:""`
	Phones  int    `hidden:""`
	OneGrid bool   `hidden:""`
}

// Run measures, or serves for another process that does.
func (c *benchCmd) Run() error {
	ctx := context.Background()
	if c.Serve != "" {
		return bench.Serve(ctx, bench.Server{Kind: c.Serve, Dir: c.Dir, Phones: c.Phones, OneGrid: c.OneGrid}, os.Stdin, os.Stdout)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	r, err := bench.Run(ctx, bench.Options{Self: self, Runs: c.Runs, Records: c.Records, Feed: c.Feed, Pulls: c.Pulls,
		Devices: c.Devices, Live: c.Live, Rows: c.Rows, Workers: c.Workers, Burst: c.Burst, Only: c.Only,
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
