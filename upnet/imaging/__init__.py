"""Image files and pixels: `reading`, `writing`, `listing` of folders, resizing (`imresize`) and `colour` conversion.

`image.RasterImage` holds pixels with metadata; `formats` states what each file format can hold. Metadata: `metadata`
and `png_metadata` read it, `exif` corrects it after upscaling, `ifd` and `png_chunks` parse bytes.
"""
