package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"aidloop/fixtures/sim"
)

type simCmd struct {
	Seed  uint64 `help:"The first seed. The same seed does the same steps." default:"1"`
	Steps int    `help:"Steps in all; 0 runs until it is told to stop." default:"100000"`
	Life  int    `help:"Steps of one county's life." default:"1500"`
	Keep  string `help:"Where to write the shortest plan that still fails." type:"path"`
	Plan  string `help:"Run one such plan and nothing else." type:"existingfile"`
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
	if c.Plan != "" {
		return c.replay(ctx, dir)
	}
	begun, told := time.Now(), 0
	total, err := sim.Campaign(ctx, sim.Plan{First: c.Seed, Steps: c.Steps, Life: c.Life, Tries: 200, Dir: dir, Tell: func(r *sim.Report) {
		if r.Steps >= told+50_000 {
			told = r.Steps
			fmt.Fprintf(os.Stderr, "%d steps, %d heals, %s\n", r.Steps, r.Heals, time.Since(begun).Round(time.Second))
		}
	}})
	fmt.Print(total.Summary())
	table, seldom := total.FaultTable()
	fmt.Print(table)
	var f *sim.Failure
	if errors.As(err, &f) {
		if c.Keep != "" {
			err = errors.Join(err, f.Save(c.Keep))
		}
		return fmt.Errorf("%w\nsee it again: aidloop sim --seed %d --steps %d; its shortest plan has %d steps", err, f.Seed, c.Life, len(f.Plan))
	}
	if err == nil && total.Steps >= tableSteps && len(seldom) > 0 {
		return fmt.Errorf("faults that happened too seldom to prove anything: %v", seldom)
	}
	if err == nil {
		fmt.Println("zero lost, zero wedged, zero diverged")
	}
	return err
}

// tableSteps is from how many steps on every kind of fault must have come up often enough.
const tableSteps = 100_000

// replay runs a plan that was kept.
func (c *simCmd) replay(ctx context.Context, dir string) error {
	plan, err := sim.Load(c.Plan)
	if err != nil {
		return err
	}
	plan.Dir = filepath.Join(dir, "plan")
	plan.Log = func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	rep, err := sim.Run(ctx, plan)
	fmt.Print(rep.Summary())
	return err
}
