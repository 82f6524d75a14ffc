package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"aidloop/server/cmd/aidloop/app"
	"aidloop/storage/sqlite"
)

type verifyCmd struct {
	Data string `help:"The data folder; no server may be using it." default:"data" type:"path"`
}

// Run recomputes ledger chains and their seals, digests, device chains and photos, and fails where anything is not as it was written.
func (c *verifyCmd) Run() error {
	if _, err := os.Stat(filepath.Join(c.Data, sqlite.FileName)); err != nil {
		return fmt.Errorf("--data (AIDLOOP_DATA): there is no database in %s", c.Data)
	}
	ctx := context.Background()
	a, err := app.Open(ctx, app.Config{Addr: "127.0.0.1:0", Data: c.Data, Version: revision()})
	if err != nil {
		return err
	}
	r, err := a.Loop.Check(ctx, a.Blobs.Verify)
	if cerr := a.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	fmt.Printf("%d buckets, %d rows, %d ledger entries; %d devices, %d pushes, %d groups; %d photos\n", r.Buckets, r.Rows, r.Entries, r.Devices, r.Batches, r.Groups, r.Blobs)
	if r.Gaps > 0 {
		fmt.Printf("%d times a device declared changes lost, which a restore had taken back and it did not hold any more\n", r.Gaps)
	}
	if r.Seals > 0 {
		fmt.Printf("%d seals; the newest signed the root %s\n", r.Seals, r.Root)
	}
	for _, f := range r.Findings {
		fmt.Printf("  %s: %s\n", f.Where, f.What)
	}
	if n := len(r.Findings); n > 0 {
		return fmt.Errorf("%d things are not as they were written", n)
	}
	fmt.Println("everything is as it was written")
	return nil
}
