"""The gallery: what each upsampling operator does to a few numbers and to a photograph."""
