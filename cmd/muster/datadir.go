package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/muster-id/muster/config"
	"github.com/muster-id/muster/internal/secret"
)

// makeDataDir makes the data folder, closed to everybody else.
func makeDataDir(dir string) error {
	hint := "give another folder with --data-dir, or let the user that runs muster write there"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("the data folder %s cannot be made (%s); %s", dir, reason(err), hint)
	}
	probe, err := os.CreateTemp(dir, ".write-*")
	if err != nil {
		return fmt.Errorf("the data folder %s cannot be written to (%s); %s", dir, reason(err), hint)
	}
	probe.Close()
	return os.Remove(probe.Name())
}

// serverKey is the key of the settings, else the one in the data folder, which is made when
// there is none, with those from before. Two processes that start at once get the same one.
func serverKey(cfg *config.Config) (secret.Key, error) {
	older, err := secret.ParseKeys(cfg.SecretKeyOld)
	if err != nil {
		return secret.Key{}, err
	}
	key, err := sealingKey(cfg.SecretKey, cfg.DataDir)
	return key.Over(older...), err
}

func sealingKey(text, dir string) (secret.Key, error) {
	if text != "" {
		return secret.ParseKey(text)
	}
	name := filepath.Join(dir, "server.key")
	key, err := readKey(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	made, err := os.CreateTemp(dir, ".server.key-*") // mode 0600
	if err != nil {
		return secret.Key{}, fmt.Errorf("the server key cannot be made in %s: %w", dir, err)
	}
	defer os.Remove(made.Name())
	_, err = made.WriteString(secret.NewKey().String() + "\n")
	err = errors.Join(err, made.Sync(), made.Close())
	if err != nil {
		return secret.Key{}, fmt.Errorf("the server key cannot be written to %s: %w", made.Name(), err)
	}
	if err := os.Link(made.Name(), name); err != nil && !errors.Is(err, fs.ErrExist) {
		return secret.Key{}, fmt.Errorf("the server key cannot be put at %s: %w", name, err)
	}
	return readKey(name)
}

func readKey(name string) (secret.Key, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return secret.Key{}, fmt.Errorf("the server key %s cannot be read: %w", name, err)
	}
	key, err := secret.ParseKey(string(text))
	if err != nil {
		return secret.Key{}, fmt.Errorf("the server key %s is damaged (%w); put the right one back, without it stored secrets cannot be opened", name, err)
	}
	return key, nil
}

// reason is the cause of a file error without the path, which the sentence has already.
func reason(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}
