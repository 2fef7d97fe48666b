package cli

import (
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"example.com/payment/internal/config"
)

// Prepare makes a root command print through s, leaves errors to Run, and lets it say its version.
func (s Streams) Prepare(root *cobra.Command) {
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetOut(s.Stdout)
	root.SetErr(s.Stderr)
	root.Version = Version().String()
	root.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagError(err) })
}

// numberSyntax is how the flags' library says that a number is none.
var numberSyntax = regexp.MustCompile(`strconv\.Parse(Uint|Int|Float): parsing ".*": (.*)$`)

// flagError says of a number what is wanted, in place of which function has failed.
func flagError(err error) error {
	text := numberSyntax.ReplaceAllStringFunc(err.Error(), func(found string) string {
		parts := numberSyntax.FindStringSubmatch(found)
		switch {
		case strings.Contains(parts[2], "range"):
			return "the number is too large"
		case parts[1] == "Float":
			return "want a number"
		case parts[1] == "Uint":
			return "want a whole number, 0 or more"
		default:
			return "want a whole number"
		}
	})
	return Usagef("%s", text)
}

// NoArguments refuses stray words, most of which are mistyped commands.
func NoArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2 // cobra's own default, which it sets elsewhere
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return Usagef("unknown command %q; did you mean %q?", args[0], near[0])
	}
	return Usagef("unknown command %q; see %s --help", args[0], cmd.CommandPath())
}

// Arguments asks for a number of words of the named kind.
func Arguments(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return Usagef("%s needs %s; see %s --help", cmd.CommandPath(), what, cmd.CommandPath())
		}
		return nil
	}
}

// OutputFlag adds -o with the formats that a command knows, the first being the default. The
// command has its RunE already.
func OutputFlag(cmd *cobra.Command, format *string, formats ...string) {
	cmd.Flags().StringVarP(format, "output", "o", formats[0],
		"print as `FORMAT`: "+strings.Join(formats, ", "))
	// It fails for a flag that is not there, or has a completion; this one was made just now.
	_ = cmd.RegisterFlagCompletionFunc("output",
		cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	inner := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(formats, *format) {
			return Usagef("-o %s: must be one of %s", *format, strings.Join(formats, ", "))
		}
		return inner(cmd, args)
	}
}

// Settings are how a program explains and shows its settings.
type Settings struct {
	Help, Example func(io.Writer) error
	Load          func(cmd *cobra.Command) (config.Settings, error)
}

// ConfigCommand is the command config of a program.
func (s Streams) ConfigCommand(settings Settings) *cobra.Command {
	cmd := &cobra.Command{
		Use: "config", Short: "explain the settings", Args: NoArguments,
		RunE: func(*cobra.Command, []string) error { return settings.Help(s.Stdout) },
	}
	var format string
	show := &cobra.Command{
		Use:   "print",
		Short: "print the settings in force and where each comes from, secrets redacted",
		Args:  NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := settings.Load(cmd)
			if err != nil {
				return err
			}
			return list.Print(s.Stdout, format)
		},
	}
	OutputFlag(show, &format, "text", "json")
	cmd.AddCommand(show, &cobra.Command{
		Use: "example", Short: "print a settings file with every default, explained",
		Args: NoArguments,
		RunE: func(*cobra.Command, []string) error { return settings.Example(s.Stdout) },
	})
	return cmd
}
