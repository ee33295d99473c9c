"""The pages that people use: HTML made here, from the same calls that the API makes.

A page never keeps anything in the browser that it needs: a reload, the back button or another tab
shows what the services know now.
"""
