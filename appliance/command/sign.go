package command

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"aead.dev/minisign"

	"ramjet/appliance/update/signed"
)

const signUsage = `Sign an update: appliance sign -key update.key DIR

DIR holds the parts root, boot and mbr ("make signed" writes them). Beside them are written update.txt, which lists them,
and its signature update.txt.minisig. The key is one of minisign, made once:

  minisign -G -p build/update.pub -s update.key

A box whose image was built with build/update.pub there takes no other updates.

`

// sign is the command.
func sign(args []string, t *Terminal) error {
	flags := flag.NewFlagSet("appliance sign", flag.ContinueOnError)
	key := flags.String("key", "update.key", "`file` of the secret key")
	if err := parseFlags(flags, args, t, signUsage, 1); err != nil {
		return err
	}
	private, err := secretKey(*key, t)
	if err != nil {
		return err
	}
	dir := flags.Arg(0)
	list, err := signed.List(dir, time.Now())
	if err != nil {
		return err
	}
	text := list.Text()
	err = errors.Join(os.WriteFile(filepath.Join(dir, signed.ListFile), text, 0o644),
		os.WriteFile(filepath.Join(dir, signed.SignatureFile), signed.Sign(private, text), 0o644))
	if err == nil {
		fmt.Fprintf(t.Err, "signed with key %016X:\n%s", private.ID(), text)
	}
	return err
}

// secretKey reads one, and asks for its password if it has one.
func secretKey(file string, t *Terminal) (minisign.PrivateKey, error) {
	var key minisign.PrivateKey
	text, err := os.ReadFile(file)
	if err != nil {
		return key, err
	}
	if !minisign.IsEncrypted(text) {
		if err = key.UnmarshalText(text); err != nil {
			err = fmt.Errorf("%s: %w", file, err)
		}
		return key, err
	}
	if t.Password == nil {
		return key, fmt.Errorf("%s has a password, and nobody is there to be asked for it", file)
	}
	fmt.Fprintf(t.Err, "password of %s: ", file)
	password, err := t.Password()
	if err != nil {
		return key, err
	}
	key, err = minisign.DecryptKey(password, text)
	if err != nil {
		err = fmt.Errorf("%s: %w", file, err)
	}
	return key, err
}

// parseFlags parses those of a command that takes so many words.
func parseFlags(flags *flag.FlagSet, args []string, t *Terminal, usage string, words int) error {
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(t.Out, usage)
		flags.SetOutput(t.Out)
		flags.PrintDefaults()
		return err
	case err != nil:
		return usageError{err}
	case flags.NArg() != words:
		return usageError{fmt.Errorf("%d words expected, not %d", words, flags.NArg())}
	}
	return nil
}
