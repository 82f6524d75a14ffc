package desk

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"aidloop/server/casework"
	"aidloop/server/loop"
	"aidloop/server/token"
)

// Person is an account as the API shows it.
type Person struct {
	ID       string `json:"id" zh:"编号"`
	Login    string `json:"login" zh:"登录名"`
	Name     string `json:"name" zh:"姓名"`
	Role     string `json:"role"`
	RoleName string `json:"role_name" zh:"岗位" doc:"The role's Chinese name."`
	Region   string `json:"region,omitempty" zh:"区划"`
	Dept     string `json:"dept,omitempty" zh:"部门"`
	Disabled bool   `json:"disabled,omitempty" zh:"已停用"`
}

// Me is who asks.
type Me struct {
	Person
	Practice bool `json:"practice,omitempty" doc:"This is a server for practice: nothing in it is real."`
}

func person(u *loop.User) Person {
	name := u.Role
	for _, r := range casework.Roles {
		if r.Code == u.Role {
			name = r.Label
		}
	}
	return Person{u.ID, u.Login, u.Name, u.Role, name, u.Region, u.Dept, u.Disabled}
}

// Tokens let somebody in. The access token goes into the Authorization header; the refresh token is good once.
type Tokens struct {
	AccessToken  string `json:"access_token"`
	ExpiresIn    int    `json:"access_expires_in" doc:"Seconds."`
	RefreshToken string `json:"refresh_token"`
	User         Person `json:"user"`
}

func (a *API) tokens(s *loop.Signed, err error) (*body[Tokens], error) {
	if err != nil {
		return nil, wrap(err)
	}
	access, expires, err := a.Tokens.Issue(*s, token.Desk, a.Clock())
	return answer(Tokens{access, expires, s.Refresh, person(&s.User)}, err)
}

func (a *API) sessions() {
	huma.Register(a.huma, open(http.MethodPost, "/login", "login", "sessions", "Log in by name and password"),
		func(ctx context.Context, in *struct {
			Body struct {
				Login    string `json:"login" minLength:"1" maxLength:"64"`
				Password string `json:"password" minLength:"1" maxLength:"256"`
			}
		}) (*body[Tokens], error) {
			return a.tokens(a.Loop.Login(ctx, in.Body.Login, in.Body.Password))
		})
	huma.Register(a.huma, open(http.MethodPost, "/refresh", "refresh", "sessions", "Exchange a refresh token for new tokens"),
		func(ctx context.Context, in *struct {
			Body struct {
				RefreshToken string `json:"refresh_token" minLength:"1" maxLength:"256"`
			}
		}) (*body[Tokens], error) {
			return a.tokens(a.Loop.Refresh(ctx, in.Body.RefreshToken))
		})
	huma.Register(a.huma, op(http.MethodPost, "/logout", "logout", "sessions", "End this session"),
		func(ctx context.Context, _ *empty) (*empty, error) {
			return done(a.Loop.Logout(ctx, ctx.Value(actorKey{}).(*session).id))
		})
	huma.Register(a.huma, op(http.MethodPost, "/password", "change-password", "sessions", "Change your password"),
		func(ctx context.Context, in *struct {
			Body struct {
				Old string `json:"old" minLength:"1" maxLength:"256"`
				New string `json:"new" minLength:"8" maxLength:"256"`
			}
		}) (*empty, error) {
			return done(a.Loop.ChangePassword(ctx, actor(ctx), in.Body.Old, in.Body.New))
		})
	huma.Register(a.huma, op(http.MethodGet, "/me", "me", "sessions", "Who am I"),
		func(ctx context.Context, _ *empty) (*body[Me], error) {
			s := ctx.Value(actorKey{}).(*session)
			return answer(Me{person(&s.user), a.Practice}, nil)
		})
	huma.Register(a.huma, open(http.MethodGet, "/words", "words", "sessions", "The code lists with their Chinese labels"),
		func(context.Context, *empty) (*body[map[string][]Word], error) {
			words := make(map[string][]Word, len(casework.Enums)+1)
			for name, terms := range casework.Enums {
				words[name] = wordsOf(terms)
			}
			words["role"] = wordsOf(casework.Roles)
			return answer(words, nil)
		})
}

// Word is one value of a code list.
type Word struct {
	Code  string `json:"code"`
	Label string `json:"label"`
}

func wordsOf(terms []casework.Term) []Word {
	list := make([]Word, len(terms))
	for i, t := range terms {
		list[i] = Word(t)
	}
	return list
}
