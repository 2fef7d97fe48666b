package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"example.com/payment/internal/cli"
	"example.com/payment/internal/config"
	"example.com/payment/internal/mysql"
	"example.com/payment/internal/order"
	"example.com/payment/migrations"
)

func (a *app) migrateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "bring the schema up to date and grant the consumer's rights",
		Long: `Migrate applies the migrations that are missing and grants migrate.app_user what the
consumer needs: to read, to append payments and entries, to change balances and the state of
quarantined messages, and nothing else. It connects as migrate.user. Running it twice, or on
several machines at once, does no harm: each waits for the others, for ten minutes at most. If
migrate.archive_user is set, that user gets what payment-consumer archive needs.`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load(cmd, config.NeedMigrate)
			if err != nil {
				return err
			}
			owner, err := ownerConfig(cfg)
			if err != nil {
				return err
			}
			owner.OnWait = func() {
				a.Warnf("another migration of %s is under way: waiting for it\n", cfg.MySQL.Database)
			}
			from, to, err := mysql.Migrate(
				cmd.Context(), owner, migrations.Files, cfg.Migrate.AppUser)
			if err != nil {
				return err
			}
			if user := cfg.Migrate.ArchiveUser; user != "" {
				err := mysql.GrantArchive(cmd.Context(), owner, migrations.Files, user)
				if err != nil {
					return err
				}
			}
			a.Printf("schema of %s: version %d, was %d; rights granted to %s\n",
				cfg.MySQL.Database, to, from, cfg.Migrate.AppUser)
			return nil
		},
	}
}

// asOwner does one thing as the user that owns the schema.
func (a *app) asOwner(
	cmd *cobra.Command, do func(ctx context.Context, db *mysql.DB) error,
) error {
	cfg, err := a.load(cmd, config.NeedMigrate)
	if err != nil {
		return err
	}
	owner, err := ownerConfig(cfg)
	if err != nil {
		return err
	}
	db, err := mysql.Open(owner)
	if err != nil {
		return err
	}
	return errors.Join(do(cmd.Context(), db), db.Close())
}

func (a *app) accountsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "accounts", Short: "open accounts", Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var currency, opening string
	open := &cobra.Command{
		Use:   "open ID...",
		Short: "open accounts with an opening balance",
		Long: `Open opens accounts, all or none; one that exists already is left as it is. It
connects as migrate.user: the consumer itself cannot bring money into the ledger.`,
		Example: `  payment-consumer accounts open user-1 shop-1 --currency CNY --opening 1000.00
  payment-consumer accounts open user-{1..1000} --opening 50.00`,
		Args: cli.Arguments(1, 1_000_000, "at least one account ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ids, money, err := parseAccounts(args, currency, opening)
			if err != nil {
				return cli.Usage(err)
			}
			return a.asOwner(cmd, func(ctx context.Context, db *mysql.DB) error {
				opened, other, err := db.OpenAccounts(ctx, ids, money)
				if err != nil {
					return err
				}
				a.Printf("opened %d accounts with %s each; %d existed\n",
					opened, money, int64(len(ids))-opened)
				if len(other) > 0 {
					return fmt.Errorf("%d accounts exist with another currency than %s, such as %s",
						len(other), money.Currency, other[0])
				}
				return nil
			})
		},
	}
	open.Flags().StringVar(&currency, "currency", "CNY", "`CODE` of the accounts, ISO 4217")
	open.Flags().StringVar(&opening, "opening", "0", "opening balance as a decimal `AMOUNT`")
	cmd.AddCommand(open)
	return cmd
}

func parseAccounts(args []string, code, opening string) ([]order.Account, order.Money, error) {
	currency, err := order.ParseCurrency(code)
	if err != nil {
		return nil, order.Money{}, fmt.Errorf("--currency %q: %w", code, err)
	}
	money, err := order.ParseMoney(opening, currency)
	if err != nil {
		return nil, order.Money{}, fmt.Errorf("--opening %q: %w", opening, err)
	}
	ids := make([]order.Account, len(args))
	for i, arg := range args {
		if ids[i], err = order.ParseAccount(arg); err != nil {
			return nil, order.Money{}, fmt.Errorf("account %q: %w", arg, err)
		}
	}
	return ids, money, nil
}

func (a *app) epochCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "epoch", Short: "replace the ledger epoch", Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(&cobra.Command{
		Use:   "replace",
		Short: "make the cache forget everything, after a restore",
		Long: `Replace gives the ledger a new epoch, so that every answer in the cache becomes a
miss. Do this after the database was restored from a backup, or failed over to a replica that
may have missed commits, and before the consumers start again: otherwise the cache goes on
answering for payments that the database no longer holds. It connects as migrate.user.`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.asOwner(cmd, func(ctx context.Context, db *mysql.DB) error {
				_, err := db.ReplaceEpoch(ctx)
				if err == nil {
					a.Printf("the ledger epoch is replaced; cached answers are misses from now on\n")
				}
				return err
			})
		},
	})
	return cmd
}
