import pytest


def check_files(main, name, folder):
    """Run a script in `folder`: it writes its PDF and PNG there, and may write numbers."""
    main(folder, quick=True)
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    numbers = files.pop(f"{name}.md", b"Measured: ")
    assert numbers.startswith(b"Measured: ")
    assert b"nan" not in numbers
    assert set(files) == {f"{name}.pdf", f"{name}.png"}
    assert files[f"{name}.pdf"].startswith(b"%PDF")
    assert files[f"{name}.png"].startswith(b"\x89PNG")
    assert min(map(len, files.values())) > 5_000


@pytest.fixture(name="check_files")
def check_files_fixture():
    return check_files
