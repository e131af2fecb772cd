"""Files with Google's own SDK: upload in pieces, look up, use, list, delete."""

import io
import os

from google import genai
from google.genai import errors, types

google = genai.Client(
    api_key=os.environ["PROXY_KEY"], http_options=types.HttpOptions(base_url=os.environ["PROXY_URL"], timeout=30_000)
)

# More than one piece of the SDK's 8 MiB.
size = 8 * 1024 * 1024 + 5
file = google.files.upload(
    file=io.BytesIO(b"x" * size), config=types.UploadFileConfig(display_name="notes", mime_type="text/plain")
)
assert (file.display_name, file.mime_type, file.size_bytes) == ("notes", "text/plain", size), file
assert google.files.get(name=file.name).uri == file.uri
assert [entry.name for entry in google.files.list()] == [file.name]

answer = google.models.generate_content(model="gemini-2.5-flash", contents=[file, "Read it"])
assert "Read it" in answer.text, answer

google.files.delete(name=file.name)
assert list(google.files.list()) == []
try:
    google.files.get(name=file.name)
except errors.ClientError as error:
    assert (error.code, error.status) == (403, "PERMISSION_DENIED"), error
else:
    raise AssertionError("the file is still there")
