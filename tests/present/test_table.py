from stabilimeter.present.table import Cell, Column, Table, Tone, markdown, row


def test_markdown_keeps_rows_and_alignment():
    table = Table("Title", (Column("name"), Column("n\nof 5", numeric=True)), (row("a", Cell("1", Tone.BAD)),), "Why.")
    assert markdown(table) == "### Title\n\n| name | n of 5 |\n|---|---:|\n| a | 1 |\n\nWhy.\n"


def test_text_from_logs_cannot_leave_its_cell():
    table = Table("", (Column("tag"),), (row("a|b\n| <script>alert(1)</script> [x](http://y) `c` **d**"),))
    cell = markdown(table).splitlines()[2]
    assert cell == (r"| a\|b \| &lt;script>alert(1)&lt;/script> \[x\](http://y) \`c\` \*\*d\*\* |")


def test_without_first_column():
    table = Table("t", (Column("group"), Column("n")), (row("a", "1"), row("b", "2")))
    assert table.without_first_column() == Table("t", (Column("n"),), (row("1"), row("2")))
