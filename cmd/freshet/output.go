package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// The formats of -o.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatValue = "value"
)

// output is the flag -o of a verb.
type output struct {
	format  string
	allowed []string // the first is the default
}

// addOutput gives a verb the flag -o.
func addOutput(cmd *cobra.Command, allowed ...string) *output {
	o := &output{format: allowed[0], allowed: allowed}
	cmd.Flags().VarP(o, "output", "o", "output: "+strings.Join(allowed, ", "))
	return o
}

// String returns the format.
func (o *output) String() string { return o.format }

// Type names the flag's value in usage texts.
func (o *output) Type() string { return "format" }

// Set takes one of the allowed formats.
func (o *output) Set(text string) error {
	if !slices.Contains(o.allowed, text) {
		return fmt.Errorf("expected one of %s", strings.Join(o.allowed, ", "))
	}
	o.format = text
	return nil
}

func (o *output) isJSON() bool { return o.format == formatJSON }

// json writes v for programs.
func (t *terminal) json(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	t.print("%s", text)
	return nil
}

// jsonLine writes v as one line, for streams.
func (t *terminal) jsonLine(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	t.print("%s", text)
	return nil
}

// table writes rows for people; the first one is the heading. Colour codes take no width.
func (t *terminal) table(rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], visible(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell + strings.Repeat(" ", widths[i]-visible(cell)+2))
		}
		t.print("%s", strings.TrimRight(line.String(), " "))
	}
}

// visible is how many columns a cell takes.
func visible(cell string) int {
	for _, code := range []string{green, yellow, red, reset} {
		cell = strings.ReplaceAll(cell, code, "")
	}
	return utf8.RuneCountInString(cell)
}
