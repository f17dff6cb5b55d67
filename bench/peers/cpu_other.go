//go:build !linux

package main

import "os/exec"

func serverCPU() int    { return -1 }
func generatorCPU() int { return -1 }

func stayOn(int) error { return nil }

func startOn(cmd *exec.Cmd, _ int) error { return cmd.Start() }
