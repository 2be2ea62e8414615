//go:build tools

// Package tools pins the program that is built here.
package tools

import _ "github.com/rclone/rclone"
