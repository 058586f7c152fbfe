"""Number formats, calibration and exact integer arithmetic."""
