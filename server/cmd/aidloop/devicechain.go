package main

import (
	"context"
	"fmt"
	"time"

	"aidloop/fixtures/story"
	"aidloop/server/casework"
)

type chainCmd struct {
	phoneFlag
	Household string `arg:"" help:"The household's id, as tasks name it."`
}

// Run tells the chain.
func (c *chainCmd) Run() error {
	return c.with(func(_ context.Context, p *story.Phone) error {
		records, err := p.Chain(c.Household)
		if err != nil {
			return err
		}
		for _, e := range casework.Chain(records) {
			fmt.Printf("%s  %s", e.At.Format(time.DateOnly), e.Label)
			for _, f := range e.Facts {
				fmt.Printf(";%s:%s", f.Label, f.Text)
			}
			fmt.Println()
		}
		for _, h := range casework.Received(records) {
			fmt.Printf("已享受 %s %d次 %s\n", casework.Label("measure", h.Measure), h.Times, casework.Yuan(h.Amount))
		}
		return nil
	})
}
