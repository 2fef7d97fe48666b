package main

import (
	"bytes"
	"cmp"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/chromedp/chromedp"
)

// shot leaves a picture of what is in sight, if pictures are wanted.
func (v *visit) shot(name string) error {
	if v.opts.shots == "" {
		return nil
	}
	if _, err := eval[bool](v, "scrollTo(0, 0), true"); err != nil {
		return err
	}
	picture, err := chromedp.Run(v.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return err
	}
	if picture, err = shrink(picture); err != nil {
		return err
	}
	v.taken++
	file := filepath.Join(v.opts.shots, fmt.Sprintf("%02d-%s.png", v.taken, name))
	return os.WriteFile(file, picture, 0o644)
}

// shrink keeps the colours that are frequent, of those that are alike the first, and takes the
// nearest of them for the others, which are at the edges of letters. That halves the file.
func shrink(picture []byte) ([]byte, error) {
	from, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		return nil, err
	}
	bounds := from.Bounds()
	often := map[color.RGBA]int{}
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			often[rgba(from, x, y)]++
		}
	}
	all := slices.SortedFunc(maps.Keys(often), func(a, b color.RGBA) int {
		return cmp.Or(often[b]-often[a], cmp.Compare(key(a), key(b)))
	})
	var palette color.Palette
	alike := map[int]bool{}
	for _, c := range all {
		if kind := key(c) & 0xf8f8f8; !alike[kind] && len(palette) < 256 {
			alike[kind] = true
			palette = append(palette, c)
		}
	}
	nearest := map[color.RGBA]uint8{}
	to := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			c := rgba(from, x, y)
			if _, known := nearest[c]; !known {
				nearest[c] = uint8(palette.Index(c))
			}
			to.SetColorIndex(x, y, nearest[c])
		}
	}
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	err = encoder.Encode(&out, to)
	return out.Bytes(), err
}

func rgba(from image.Image, x, y int) color.RGBA {
	r, g, b, _ := from.At(x, y).RGBA()
	return color.RGBA{uint8(r >> 8), uint8(g >> 8), uint8(b >> 8), 255}
}

func key(c color.RGBA) int { return int(c.R)<<16 | int(c.G)<<8 | int(c.B) }
