"""What the user has: images, labels, and how they lie on the disk. Nothing is read before it is needed.

The words are `geometry`, `image`, `label`, `unit`, `case`, `pool` and `batch`.

Files come in through `formats` (`read_image`, `read_geometry`, `read_values`), become cases and labels in `sources`
(`FileSource`, `SemanticFile`, `InstanceFile`, `LabelsOnFiles`), and pools through `layouts` (`open_pool`) and `spec`
(`parse_data_spec`, `open_data`). `checks` looks at every file before anybody spends time on it (`check_pool`,
`raise_on_errors`); `splits` divides the cases without cutting a group (`split_cases`, `split_folds`, `read_split`,
`check_split`). Files go out through `write` (`write_label`, `write_image`), `export_nnunet` and `export_coco`.

`phantoms` makes cases with exact truth; `sampling` and the `augment` modules make batches of them; `cost` counts what a
label has cost.
"""
