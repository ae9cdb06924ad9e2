// Opens a signed note with a log's verifier key and a witness's, as any client of the transparency
// logs of the world does: go run . LOG-VKEY WITNESS-VKEY < NOTE. It prints who has signed.
package main

import (
	"fmt"
	"io"
	"os"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	text, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = check(text, os.Args[1], os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(text []byte, log, witness string) error {
	logKey, err := note.NewVerifier(log)
	if err != nil {
		return err
	}
	witnessKey, err := torchwood.NewCosignatureVerifier(witness)
	if err != nil {
		return err
	}
	opened, err := note.Open(text, note.VerifierList(logKey, witnessKey))
	if err != nil {
		return err
	}
	checkpoint, err := torchwood.ParseCheckpoint(opened.Text)
	if err != nil {
		return err
	}
	fmt.Println(checkpoint.Origin, checkpoint.N)
	for _, signature := range opened.Sigs {
		fmt.Println("signed by", signature.Name)
	}
	if len(opened.Sigs) != 2 {
		return fmt.Errorf("%d of 2 signatures hold", len(opened.Sigs))
	}
	return nil
}
