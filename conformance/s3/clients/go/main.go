// The adapter of AWS's SDK for Go 2.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"runtime/debug"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

type command struct{ Do, Bucket, Key, File, Prefix, To, Etag, First, Last string }

type client struct {
	s3  *s3.Client
	ctx context.Context
}

func (c client) put(at command, more func(*s3.PutObjectInput)) error {
	file, err := os.Open(at.File)
	if err != nil {
		return err
	}
	defer file.Close()
	input := &s3.PutObjectInput{Bucket: &at.Bucket, Key: &at.Key, Body: file}
	if more != nil {
		more(input)
	}
	_, err = c.s3.PutObject(c.ctx, input)
	return err
}

func (c client) big(at command) error {
	file, err := os.Open(at.File)
	if err != nil {
		return err
	}
	defer file.Close()
	uploader := manager.NewUploader(c.s3, func(u *manager.Uploader) { u.PartSize = 8 << 20 })
	_, err = uploader.Upload(c.ctx, &s3.PutObjectInput{Bucket: &at.Bucket, Key: &at.Key, Body: file})
	return err
}

func (c client) get(at command) error {
	input := &s3.GetObjectInput{Bucket: &at.Bucket, Key: &at.Key}
	if at.First != "" {
		input.Range = aws.String("bytes=" + at.First + "-" + at.Last)
	}
	got, err := c.s3.GetObject(c.ctx, input)
	if err != nil {
		return err
	}
	defer got.Body.Close()
	file, err := os.Create(at.File)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(file, got.Body)
	return err
}

func (c client) list(at command) ([]string, error) {
	keys := []string{}
	pages := s3.NewListObjectsV2Paginator(c.s3, &s3.ListObjectsV2Input{Bucket: &at.Bucket, Prefix: &at.Prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(c.ctx)
		if err != nil {
			return nil, err
		}
		for _, one := range page.Contents {
			keys = append(keys, *one.Key)
		}
	}
	return keys, nil
}

func (c client) copy(at command) error {
	source := at.Bucket + "/" + strings.ReplaceAll(url.PathEscape(at.Key), "%2F", "/")
	_, err := c.s3.CopyObject(c.ctx, &s3.CopyObjectInput{Bucket: &at.Bucket, Key: &at.To, CopySource: &source})
	return err
}

// Whether a conditional write was done.
func done(err error) (any, error) {
	var told smithy.APIError
	if errors.As(err, &told) && told.ErrorCode() == "PreconditionFailed" {
		return false, nil
	}
	return true, err
}

func (c client) do(at command) (any, error) {
	switch at.Do {
	case "put":
		return nil, c.put(at, nil)
	case "big":
		return nil, c.big(at)
	case "get", "range":
		return nil, c.get(at)
	case "list":
		return c.list(at)
	case "delete":
		_, err := c.s3.DeleteObject(c.ctx, &s3.DeleteObjectInput{Bucket: &at.Bucket, Key: &at.Key})
		return nil, err
	case "copy":
		return nil, c.copy(at)
	case "create":
		return done(c.put(at, func(input *s3.PutObjectInput) { input.IfNoneMatch = aws.String("*") }))
	case "replace":
		return done(c.put(at, func(input *s3.PutObjectInput) { input.IfMatch = &at.Etag }))
	}
	return nil, fmt.Errorf("%s is not done", at.Do)
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, one := range info.Deps {
		if one.Path == "github.com/aws/aws-sdk-go-v2/service/s3" {
			return one.Version
		}
	}
	return ""
}

func main() {
	ctx := context.Background()
	settings, err := config.LoadDefaultConfig(ctx, config.WithRegion("us-east-1"))
	if err != nil {
		panic(err)
	}
	c := client{s3.NewFromConfig(settings, func(o *s3.Options) { o.UsePathStyle = true }), ctx}
	out := json.NewEncoder(os.Stdout)
	_ = out.Encode(map[string]any{"version": version(), "cannot": map[string]string{}})
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var at command
		if err := json.Unmarshal(lines.Bytes(), &at); err != nil {
			panic(err)
		}
		if answer, err := c.do(at); err != nil {
			_ = out.Encode(map[string]any{"error": err.Error()})
		} else {
			_ = out.Encode(map[string]any{"ok": answer})
		}
	}
}
