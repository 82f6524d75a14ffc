package casework

import (
	"fmt"
	"slices"
	"strings"
)

// Transition is one row of a state machine: in state From, Action by one of Actors leads to To, if the guard named
// Guard holds. The empty From is the state of what does not exist yet.
type Transition struct {
	From   string
	Action string
	Actors []Role
	Guard  string
	To     string
}

// Machine is a state machine as a table.
type Machine struct {
	Name  string
	Label string
	Table []Transition
}

// Next is the state that an action leads to. CodeInvalidTransition says that the state does not know the action (any
// more), CodeForbiddenActor that the role may not take the step from there, CodeGuardFailed that a condition is not met.
func (m *Machine) Next(state, action string, actor Role, f Facts) (string, error) {
	known := false
	for _, t := range m.Table {
		if t.From != state || t.Action != action {
			continue
		}
		known = true
		if !slices.Contains(t.Actors, actor) {
			continue
		}
		if t.Guard != "" {
			if err := guards[t.Guard](f); err != nil {
				return "", err
			}
		}
		return t.To, nil
	}
	if known || m.foreign(action, actor) {
		return "", NewError(CodeForbiddenActor, "您的岗位不能进行这项操作。")
	}
	return "", NewError(CodeInvalidTransition, fmt.Sprintf("%s当前为“%s”,不能进行这项操作,请刷新后查看。", m.Label, Label("state", state)))
}

// foreign reports whether the role may take the action from no state at all.
func (m *Machine) foreign(action string, actor Role) bool {
	exists := false
	for _, t := range m.Table {
		if t.Action == action {
			exists = true
			if slices.Contains(t.Actors, actor) {
				return false
			}
		}
	}
	return exists
}

// Knows reports whether the table has the action at all.
func (m *Machine) Knows(action string) bool {
	return slices.ContainsFunc(m.Table, func(t Transition) bool { return t.Action == action })
}

// States lists the states of the table in order of first appearance.
func (m *Machine) States() []string {
	var list []string
	for _, t := range m.Table {
		for _, s := range []string{t.From, t.To} {
			if !slices.Contains(list, s) {
				list = append(list, s)
			}
		}
	}
	return list
}

// Terminal lists the states that no transition leaves.
func (m *Machine) Terminal() []string {
	return slices.DeleteFunc(m.States(), func(s string) bool {
		return slices.ContainsFunc(m.Table, func(t Transition) bool { return t.From == s })
	})
}

// String prints the table.
func (m *Machine) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s)\n", m.Name, m.Label)
	for _, t := range m.Table {
		from, actors := t.From, make([]string, len(t.Actors))
		if from == "" {
			from = "(none)"
		}
		for i, a := range t.Actors {
			actors[i] = string(a)
		}
		line := fmt.Sprintf("%-16s %-14s -> %-16s %s", from, t.Action, t.To, strings.Join(actors, ", "))
		if t.Guard != "" {
			line += " [" + t.Guard + "]"
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}
