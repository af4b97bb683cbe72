package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"ingot/internal/definitions"
	"ingot/internal/plan"
	"ingot/internal/trust"
)

func newDefinitionEdit(c *console, s *definitions.Store) *cobra.Command {
	return &cobra.Command{
		Use:   "edit NAME|FILE",
		Short: "Edit a definition",
		Long: `Open a copy of a definition in an editor ($VISUAL, $EDITOR), check it, and put it in
the place of the old one as a whole. What is not valid is edited again or left
where it is, and the old definition stays in force.`,
		Example: `  sudo EDITOR=nano ingot definition edit office`,
		Args:    args(cobra.ExactArgs(1)),
		RunE:    func(cmd *cobra.Command, a []string) error { return c.editDefinition(cmd.Context(), s, a[0]) },
	}
}

func (c *console) editDefinition(ctx context.Context, s *definitions.Store, name string) error {
	path := s.Path(name)
	// One that is not valid can be edited, to mend it.
	old, err := trust.ReadFile(path, plan.MaxXML)
	if err != nil {
		return fmt.Errorf("read the definition %s: %w", name, err)
	}
	if err := trust.Folder(filepath.Dir(path)); err != nil {
		return err
	}
	draft, err := writeDraft(path, old)
	if err != nil {
		return fmt.Errorf("make a copy to edit: %w", err)
	}
	edited, err := c.untilValid(ctx, draft, old)
	if err != nil {
		return fmt.Errorf("%s is as it was, what was edited is in %s: %w", path, draft, err)
	}
	if edited == nil {
		c.note("nothing was changed")
		return os.Remove(draft)
	}
	now, err := trust.ReadFile(path, plan.MaxXML)
	if err == nil && !bytes.Equal(now, old) {
		err = refuse("somebody else has changed it meanwhile")
	}
	if err == nil {
		err = definitions.Write(path, edited, true)
	}
	if err != nil {
		return fmt.Errorf("%s is as it was, what was edited is in %s: %w", path, draft, err)
	}
	c.note("%s is saved", path)
	return os.Remove(draft)
}

// writeDraft makes a copy beside the file, where others cannot reach it.
func writeDraft(path string, data []byte) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+strings.TrimSuffix(filepath.Base(path), definitions.Extension)+".*.draft")
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	return f.Name(), errors.Join(err, f.Close())
}

// untilValid has the draft edited until it is a valid definition; nil when
// nothing was changed.
func (c *console) untilValid(ctx context.Context, draft string, old []byte) ([]byte, error) {
	name := ""
	if f, err := plan.ParseXML(old); err == nil {
		name = f.Definition.Name
	}
	for {
		if err := runEditor(ctx, draft); err != nil {
			return nil, err
		}
		edited, err := trust.ReadFile(draft, plan.MaxXML)
		if err != nil {
			return nil, err
		}
		if bytes.Equal(edited, old) {
			return nil, nil
		}
		err = checkEdited(edited, name)
		if err == nil {
			return edited, nil
		}
		if in, ok := c.in.(*os.File); !ok || !terminal(in) || !terminal(c.out) {
			return nil, err
		}
		c.note("%s", err)
		again, cerr := c.confirm(ctx, "It is not valid and will be edited again.")
		if cerr != nil || !again {
			return nil, errors.Join(err, cerr)
		}
	}
}

// checkEdited says what is wrong with an edited definition. name is what it was
// called.
func checkEdited(data []byte, name string) error {
	f, err := plan.ParseXML(data)
	if err != nil {
		return err
	}
	if name != "" && f.Definition.Name != name {
		return refuse("the name was changed from %q to %q: make a new definition of it, since history goes by the name", name, f.Definition.Name)
	}
	return definitions.CheckNamed(&f.Definition)
}

// runEditor opens the user's editor and waits for it.
func runEditor(ctx context.Context, path string) error {
	editor := os.Getenv("VISUAL")
	if editor == "" {
		editor = os.Getenv("EDITOR")
	}
	words := strings.Fields(editor)
	switch {
	case len(words) > 0:
	case runtime.GOOS == "windows":
		words = []string{"notepad.exe"}
	default:
		words = []string{"vi"}
	}
	cmd := exec.CommandContext(ctx, words[0], append(words[1:], path)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run the editor %s: %w", words[0], err)
	}
	return nil
}
