from tests.buckets import bucket_url, s3, s3_server

__all__ = ["bucket_url", "s3", "s3_server"]
