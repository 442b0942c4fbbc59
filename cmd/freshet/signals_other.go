//go:build !unix

package main

import "os"

// signalNamed knows the one signal that there is here.
func signalNamed(name string) (os.Signal, bool) { return os.Kill, name == "KILL" }

func signalNames() []string { return []string{"KILL"} }
