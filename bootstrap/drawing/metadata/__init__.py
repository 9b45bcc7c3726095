"""How other tools' pictures say that they were drawn, one file for each tool, all read into A1111's field names."""
