package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"aidloop/fixtures/sim"
)

type simCmd struct {
	Seed  uint64 `help:"The first seed. The same seed does the same steps." default:"1"`
	Steps int    `help:"Steps in all; 0 runs until it is told to stop." default:"100000"`
	Life  int    `help:"Steps of one county's life." default:"1500"`
}

// Run runs the fault simulator and prints what it met. It ends with an error at the first broken invariant, and says
// which seed shows it again.
func (c *simCmd) Run() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir, err := os.MkdirTemp("", "aidloop-sim-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	begun, told := time.Now(), 0
	total, err := sim.Campaign(ctx, sim.Plan{First: c.Seed, Steps: c.Steps, Life: c.Life, Tries: 200, Dir: dir, Tell: func(r *sim.Report) {
		if r.Steps >= told+50_000 {
			told = r.Steps
			fmt.Fprintf(os.Stderr, "%d steps, %d heals, %s\n", r.Steps, r.Heals, time.Since(begun).Round(time.Second))
		}
	}})
	fmt.Print(total.Summary())
	var f *sim.Failure
	if errors.As(err, &f) {
		return fmt.Errorf("%w\nsee it again: aidloop sim --seed %d --steps %d; its shortest plan has %d steps", f, f.Seed, c.Life, len(f.Plan))
	}
	if err == nil {
		fmt.Println("zero lost, zero wedged, zero diverged")
	}
	return err
}
