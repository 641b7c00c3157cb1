"""Image files and pixels: `reading`, `writing`, `listing` of folders, resizing (`imresize`) and `colour` conversion.

`image.RasterImage` holds pixels with metadata; `formats` states what each file format supports. Pixels: `decoding`
converts colour modes, `image16` decodes 16-bit colour, `pillow` converts from and to Pillow, `alpha` upscales
transparency. Metadata: `metadata` and `png_metadata` read it, `exif` and `density` update it after upscaling, `ifd` and
`png_chunks` parse bytes.
"""
