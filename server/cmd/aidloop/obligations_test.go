package main

import (
	"fmt"
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gofiber/fiber/v2"

	"aidloop/server/desk"
)

// named finds what stands between backticks.
var named = regexp.MustCompile("`([^`]+)`")

// Every function, endpoint and test that the list of obligations names must exist, and every demand of the notice must
// stand there.
func TestObligationsNameWhatExists(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, "server/casework/OBLIGATIONS.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, f := range files(t) {
		for _, d := range f.syntax.Decls {
			for _, name := range declared(d) {
				if f.test && strings.HasPrefix(name, "Test") {
					known[name] = true
				} else if !f.test {
					known[f.syntax.Name.Name+"."+name] = true
				}
			}
		}
	}
	api := desk.Mount(fiber.New(), desk.Options{})
	for path, item := range api.OpenAPI().Paths {
		for method, op := range map[string]bool{"GET": item.Get != nil, "POST": item.Post != nil, "PUT": item.Put != nil, "DELETE": item.Delete != nil} {
			if op {
				known[method+" "+path] = true
			}
		}
	}
	for n := 1; n <= 23; n++ {
		if !strings.Contains(string(b), fmt.Sprintf("| N%02d |", n)) {
			t.Errorf("N%02d is not there", n)
		}
	}
	for _, m := range named.FindAllStringSubmatch(string(b), -1) {
		name := m[1]
		checked := strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "loop.") || strings.HasPrefix(name, "casework.") || strings.Contains(name, " /")
		if checked && !known[name] {
			t.Errorf("%s is named and does not exist", name)
		}
	}
}

// declared are the names that a declaration brings: a function or method, types, variables and constants.
func declared(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		return []string{d.Name.Name}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				names = append(names, s.Name.Name)
			case *ast.ValueSpec:
				for _, n := range s.Names {
					names = append(names, n.Name)
				}
			}
		}
	}
	return names
}
