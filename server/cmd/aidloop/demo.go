package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"aidloop/fixtures/seed"
	"aidloop/fixtures/story"
	"aidloop/fixtures/world"
	"aidloop/server/cmd/aidloop/app"
	store "aidloop/storage/device"
	"aidloop/syncproto/device"
)

type demoCmd struct {
	Data       string `help:"Folder to play in; it must be new. Left out, a temporary one is used and removed." type:"path"`
	Households int    `help:"Households of the world." default:"200"`
	Full       bool   `help:"Go on with one household until its aid chain ends: application, help, review, grace, exit, return visits."`
}

// Run plays one turn of the closed loop: a server on a new folder, real phones with stores of their own, real HTTP.
func (c *demoCmd) Run() error {
	ctx := context.Background()
	dir := c.Data
	if dir == "" {
		temp, err := os.MkdirTemp("", "aidloop-demo")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp)
		dir = temp
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return fmt.Errorf("--data: %s is not empty; the story begins on a new folder", dir)
	}
	return c.play(ctx, dir)
}

func (c *demoCmd) play(ctx context.Context, dir string) (err error) {
	begin := time.Now()
	w := world.New(1, world.Options{Households: c.Households, Now: time.Now()})
	var ahead atomic.Int64 // how far the clock was moved
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	a, err := app.Open(ctx, app.Config{Addr: "127.0.0.1:0", Data: dir, Version: revision(), Clock: clock})
	if err != nil {
		return err
	}
	defer func() {
		if cerr := a.Close(); err == nil {
			err = cerr
		}
	}()
	fmt.Println("准备汨罗演示数据:")
	if err := seed.Load(ctx, a.Loop, w, func(step string, n int) { fmt.Printf("  %-10s %6d\n", step, n) }); err != nil {
		return err
	}
	if err := a.Listen(); err != nil {
		return err
	}
	fmt.Printf("服务器:%s\n", a.URL)
	s := story.Story{World: w, Server: a.URL, HTTP: http.DefaultClient, Clock: clock, Say: func(format string, args ...any) { fmt.Printf(format+"\n", args...) },
		Phone: func(n int) (device.Store, error) {
			return store.Open(ctx, filepath.Join(dir, "phones", fmt.Sprintf("phone-%d", n+1)))
		}}
	told, err := s.Play(ctx)
	if err != nil {
		return err
	}
	if c.Full {
		y := story.Year{Story: s, Told: told, Tick: func(ctx context.Context) error { _, err := a.Loop.Advance(ctx); return err },
			Wait: func(d time.Duration) { ahead.Add(int64(d)) }}
		if _, err := y.Play(ctx); err != nil {
			return err
		}
	}
	fmt.Printf("\n闭环走完,用时%.1f秒。", time.Since(begin).Seconds())
	if c.Data != "" {
		fmt.Printf("数据在 %s,可用 aidloop verify --data %s 核对。", dir, dir)
	}
	fmt.Println()
	return nil
}
