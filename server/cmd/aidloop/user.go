package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"aidloop/mobile-api"
	"aidloop/server/casework"
	"aidloop/server/cmd/aidloop/app"
	"aidloop/server/desk"
	"aidloop/server/loop"
)

// dataFlag says which data folder; no server may be using it.
type dataFlag struct {
	Data string `help:"The data folder." default:"data" type:"path"`
}

func (d *dataFlag) with(fn func(ctx context.Context, a *app.App) error) error {
	ctx := context.Background()
	a, err := app.Open(ctx, app.Config{Addr: "127.0.0.1:0", Data: d.Data, Version: revision()})
	if err != nil {
		return err
	}
	return errors.Join(fn(ctx, a), a.Close())
}

type userCmd struct {
	Add       userAddCmd   `cmd:"" help:"Create an account."`
	List      userListCmd  `cmd:"" help:"List accounts."`
	EnrolCode enrolCodeCmd `cmd:"" name:"enrol-code" help:"Make a one-time code for a user's next phone."`
	Grant     userGrantCmd `cmd:"" help:"Let a user's phones hold a grid."`
}

type userAddCmd struct {
	dataFlag
	Login    string `arg:""`
	Name     string `help:"The person's name." required:""`
	Role     string `help:"One of grid_worker, village_clerk, town_clerk, town_reviewer, town_leader, bureau_officer, dept_officer, evaluator, auditor, admin." required:""`
	Region   string `help:"A 12-digit code, or a grid's id."`
	Dept     string `help:"A department's code, for dept_officer."`
	Password string `help:"Better set as AIDLOOP_PASSWORD; left out for somebody who only uses a phone." env:"AIDLOOP_PASSWORD"`
}

// Run creates the account.
func (c *userAddCmd) Run() error {
	return c.with(func(ctx context.Context, a *app.App) error {
		made, err := a.Loop.CreateUsers(ctx, casework.System, loop.NewUser{Login: c.Login, Name: c.Name, Role: c.Role, Region: c.Region, Dept: c.Dept, Password: c.Password})
		if err == nil {
			fmt.Println(made[0].ID)
		}
		return err
	})
}

type userListCmd struct{ dataFlag }

// Run lists every account.
func (c *userListCmd) Run() error {
	return c.with(func(ctx context.Context, a *app.App) error {
		return a.Store.Read(ctx, func(tx loop.ReadTx) error {
			for after := ""; ; {
				list, err := tx.Users("", after, 500)
				if err != nil || len(list) == 0 {
					return err
				}
				for _, u := range list {
					fmt.Printf("%s  %-20s %-14s %s %s\n", u.ID, u.Login, u.Role, u.Region, u.Dept)
				}
				after = list[len(list)-1].Login
			}
		})
	})
}

// userOf finds an account by its login name.
func userOf(ctx context.Context, a *app.App, login string) (u *loop.User, err error) {
	err = a.Store.Read(ctx, func(tx loop.ReadTx) error { u, err = tx.UserByLogin(login); return err })
	if errors.Is(err, loop.ErrNotFound) {
		err = fmt.Errorf("there is no account %s", login)
	}
	return u, err
}

type enrolCodeCmd struct {
	dataFlag
	Server string `help:"The address that the phone reaches the server by." default:"http://127.0.0.1:8080"`
	Login  string `arg:""`
}

// Run prints the code, its link and its QR code.
func (c *enrolCodeCmd) Run() error {
	return c.with(func(ctx context.Context, a *app.App) error {
		u, err := userOf(ctx, a, c.Login)
		if err != nil {
			return err
		}
		code, err := a.Loop.NewEnrolCode(ctx, casework.System, u.ID)
		if err != nil {
			return err
		}
		link := mobileapi.EnrolURI(c.Server, code)
		_, picture, err := mobileapi.EnrolQR(link)
		fmt.Printf("%s\n%s\n%s\n", picture, code, link)
		return err
	})
}

type userGrantCmd struct {
	dataFlag
	Login string `arg:""`
	Grid  string `arg:""`
}

// Run grants the grid.
func (c *userGrantCmd) Run() error {
	return c.with(func(ctx context.Context, a *app.App) error {
		u, err := userOf(ctx, a, c.Login)
		if err != nil {
			return err
		}
		return a.Loop.Grant(ctx, casework.System, loop.GridGrant{User: u.ID, Grid: c.Grid})
	})
}

type importCmd struct {
	dataFlag
	Source string `help:"Where the leads come from." enum:"province,matching,self_report,department,patrol" default:"province"`
	Region string `help:"The county whose desk receives them." default:"430681000000"`
	File   string `arg:"" help:"CSV or XLSX." type:"existingfile"`
}

// Run imports leads and reports on every row that was refused.
func (c *importCmd) Run() error {
	b, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	rows, err := desk.ReadSheet(b, nil)
	if err != nil {
		return err
	}
	return c.with(func(ctx context.Context, a *app.App) error {
		by := casework.System
		by.Region = c.Region
		rep, err := a.Loop.ImportLeads(ctx, by, c.Source, rows)
		if err != nil {
			return err
		}
		for _, r := range rep.Rows {
			if r.Status == "refused" {
				fmt.Printf("row %d: %s: %s\n", r.Row, r.Field, r.Message)
			}
		}
		fmt.Printf("%d imported, %d unchanged, %d refused\n", rep.Imported, rep.Unchanged, rep.Refused)
		return nil
	})
}
