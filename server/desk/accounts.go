package desk

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/loop"
)

// People is a page of accounts.
type People struct {
	Items []Person `json:"items"`
	Next  string   `json:"next,omitempty"`
}

// EnrolCode is a one-time code for somebody's next phone.
type EnrolCode struct {
	Code  string `json:"code" doc:"Shown once; only its hash is kept."`
	Link  string `json:"link" doc:"aidloop://enrol?server=…&code=…"`
	QR    []byte `json:"qr" doc:"The link as a QR code: a PNG, base64."`
	Hours int    `json:"hours" doc:"How long the code is good for."`
}

type userInput struct {
	ID string `path:"id" maxLength:"64"`
}

func (a *API) accounts() {
	listing(a, op(http.MethodGet, "/users", "list-users", "accounts", "List the accounts of your region"), "账号",
		func(ctx context.Context, in *struct {
			AsTable
			Region string `query:"region" maxLength:"16"`
			Role   string `query:"role" maxLength:"32"`
			Word   string `query:"word" maxLength:"64" doc:"In the login or the name."`
			After  string `query:"after" maxLength:"64"`
			Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50"`
		}) (People, []Person, error) {
			users, next, err := a.Loop.Users(ctx, actor(ctx), loop.UserFilter{Region: in.Region, Role: in.Role, Word: in.Word, After: in.After, Limit: in.Limit})
			out := People{Items: make([]Person, len(users)), Next: next}
			for i := range users {
				out.Items[i] = person(&users[i])
			}
			return out, out.Items, err
		})
	huma.Register(a.huma, op(http.MethodPost, "/users", "create-user", "accounts", "Create an account"),
		func(ctx context.Context, in *struct {
			Body struct {
				Login    string `json:"login" minLength:"1" maxLength:"64"`
				Name     string `json:"name" minLength:"1" maxLength:"64"`
				Role     string `json:"role" maxLength:"32"`
				Region   string `json:"region,omitempty" maxLength:"16"`
				Dept     string `json:"dept,omitempty" maxLength:"16"`
				Password string `json:"password,omitempty" maxLength:"256" doc:"Left out for somebody who only uses a phone."`
			}
		}) (*body[Person], error) {
			b := in.Body
			made, err := a.Loop.CreateUsers(ctx, actor(ctx), loop.NewUser{Login: b.Login, Name: b.Name, Role: b.Role, Region: b.Region, Dept: b.Dept, Password: b.Password})
			if err != nil {
				return nil, wrap(err)
			}
			return answer(person(&made[0]), nil)
		})
	huma.Register(a.huma, op(http.MethodPost, "/users/{id}/enrol-code", "enrol-code", "accounts", "Make a one-time code for the user's next phone"),
		func(ctx context.Context, in *userInput) (*body[EnrolCode], error) {
			code, err := a.Loop.NewEnrolCode(ctx, actor(ctx), in.ID)
			if err != nil {
				return nil, wrap(err)
			}
			link, png, err := a.EnrolQR(code)
			return answer(EnrolCode{code, link, png, int(loop.EnrolCodeLife.Hours())}, err)
		})
	for action, disabled := range map[string]bool{"disable": true, "enable": false} {
		huma.Register(a.huma, op(http.MethodPost, "/users/{id}/"+action, action+"-user", "accounts", "Shut or reopen an account"),
			func(ctx context.Context, in *userInput) (*empty, error) {
				return done(a.Loop.DisableUser(ctx, actor(ctx), in.ID, disabled))
			})
	}
	a.grants()
}

type grantInput struct {
	ID   string `path:"id" maxLength:"64"`
	Grid string `path:"grid" maxLength:"16"`
}

func (a *API) grants() {
	huma.Register(a.huma, op(http.MethodPut, "/users/{id}/grants/{grid}", "grant", "accounts", "Let a user's phones hold a grid"),
		func(ctx context.Context, in *grantInput) (*empty, error) {
			return done(a.Loop.Grant(ctx, actor(ctx), loop.GridGrant{User: in.ID, Grid: in.Grid}))
		})
	huma.Register(a.huma, op(http.MethodDelete, "/users/{id}/grants/{grid}", "revoke-grant", "accounts", "Take a grid from a user"),
		func(ctx context.Context, in *grantInput) (*empty, error) {
			return done(a.Loop.RevokeGrant(ctx, actor(ctx), in.ID, in.Grid))
		})
}
